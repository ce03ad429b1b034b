"""What figures are drawn on: a phone's width, colours that colour-blind readers tell apart, and SVG of the same bytes.

Figures are laid out in points from the top left corner. Text stays text in the SVG, so that it can be read, searched and
compared. matplotlib is imported where it is used, because the workflow reads the list of figures without drawing any.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

Entry = tuple[str, dict[str, Any]]  # of a legend: a label, and how its mark is drawn
WIDTH = 360  # points, which are pixels on a phone; so the smallest text is 10 pixels there
SMALL, MEDIUM, LARGE = 10, 10.5, 11.5  # sizes of text
# The colours of Okabe and Ito, and greys.
BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"
BLUE, VERMILLION, PURPLE = "#0072b2", "#d55e00", "#cc79a7"
GREEN_TEXT, VERMILLION_TEXT = "#00664b", "#a84300"  # darker, because words are thinner than marks
WHITE, PALE, LIGHT, GREY, DARK = "#ffffff", "#eeeeee", "#cccccc", "#767676", "#333333"
PALETTE = (
    BLACK,
    ORANGE,
    SKY,
    GREEN,
    BLUE,
    VERMILLION,
    PURPLE,
    GREEN_TEXT,
    VERMILLION_TEXT,
    WHITE,
    PALE,
    LIGHT,
    GREY,
    DARK,
)
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": SMALL,
    "axes.titlesize": MEDIUM,
    "axes.labelsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "text.color": DARK,
    "axes.labelcolor": DARK,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": DARK,
    "ytick.labelcolor": DARK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "figure.dpi": 72,
    "savefig.dpi": 72,
    "path.simplify": False,
    "svg.fonttype": "none",
    "axes.unicode_minus": True,
}


class Canvas:
    """A figure of WIDTH times `height` points."""

    def __init__(self, height: float) -> None:
        from matplotlib.figure import Figure

        self.height = height
        self.figure: Any = Figure(figsize=(WIDTH / 72, height / 72))

    def axes(self, left: float, top: float, width: float, height: float, bare: bool = False) -> Any:
        """Axes at a place; `bare` ones show only what is drawn."""
        place = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(place)
        if bare:
            axes.set_axis_off()
        return axes

    def text(self, left: float, top: float, said: str, **how: Any) -> None:
        """Text whose middle line is `top` points below the upper edge."""
        how = {"size": SMALL, "va": "center_baseline", "ha": "left"} | how
        self.figure.text(left / WIDTH, 1 - top / self.height, plain(said), **how)

    def legend(self, top: float, entries: Sequence[Entry]) -> None:
        """A legend in rows, of labels and what draws their marks; `legend_height` is its height."""
        from matplotlib.lines import Line2D

        for row, entry, left in _placed(entries):
            label, how = entry
            y = 1 - (top + 8 + 15 * row) / self.height
            place = [(left + 2) / WIDTH, (left + 11) / WIDTH, (left + 20) / WIDTH]
            every: dict[str, Any] = {"markevery": [1]} if how.get("marker") else {}
            self.figure.add_artist(Line2D(place, [y] * 3, solid_capstyle="butt", **every, **how))
            self.text(left + 25, top + 8 + 15 * row, label)


def _placed(entries: Sequence[Entry]) -> Iterator[tuple[int, Entry, float]]:
    """The row and the left end of each entry of a legend."""
    left, row = 8.0, 0
    for entry in entries:
        wide = text_width(entry[0]) + 36
        if left > 8 and left + wide > WIDTH:
            left, row = 8.0, row + 1
        yield row, entry, left
        left += wide


def legend_height(entries: Sequence[Entry]) -> float:
    """The height that a legend takes; 0 for one without entries."""
    rows = [row for row, _, _ in _placed(entries)]
    return 15 * (rows[-1] + 1) + 6 if rows else 0


def plain(said: str) -> str:
    """A text for matplotlib, which would take what lies between two dollar signs for mathematics."""
    return said.replace("$", r"\$")


@cache
def text_width(said: str, size: float = SMALL) -> float:
    """How wide a text is, in points. It is that of matplotlib's own font, so that every machine breaks lines alike."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font, LoadFlags

    font = FT2Font(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf")
    font.set_size(size, 72)
    font.set_text(said, 0, flags=LoadFlags.NO_HINTING)
    return float(font.get_width_height()[0] / 64)


def wrapped(said: str, width: float, size: float = SMALL) -> list[str]:
    """The lines of a text that is to be so wide at most; a longer word has a line of its own."""
    lines = [""]
    for word in said.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def shortened(said: str, width: float, size: float = SMALL) -> str:
    """The text, cut at its end to be so wide at most."""
    if text_width(said, size) <= width:
        return said
    while said and text_width(f"{said}…", size) > width:
        said = said[:-1]
    return f"{said.rstrip()}…"


def tidy(axes: Any, grid: str = "x") -> None:
    """Light grid lines behind what is drawn, along one axis, and ticks without marks."""
    axes.grid(axis=grid, color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def whole_steps(axes: Any, most: int = 7) -> None:
    """Ticks of the x axis at numbers that are easy to read, so many at most."""
    axes.locator_params(axis="x", nbins=most, steps=[1, 2, 5, 10])


def svg(draw: Callable[[], Canvas], name: str) -> str:
    """The SVG of a figure, which is the same bytes for the same numbers. Its ids begin with the name."""
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with style.context(["default", STYLE | {"svg.hashsalt": name}]):
        target = io.StringIO()
        FigureCanvasSVG(draw().figure).print_svg(target, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _cleaned(target.getvalue(), name)


def _cleaned(text: str, name: str) -> str:
    """The SVG without what differs between machines and pages, and without what each text says again.

    These are long decimals, ids that two figures share, and the family of the font, which the whole figure has.
    """
    text = re.sub(r"(?s)^.*?(?=<svg)", "", text)
    text = re.sub(r"(?s)\s*<metadata>.*?</metadata>", "", text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    family = re.search(r"font-family: ([^;\"]*)", text)
    if family:
        text = text.replace(f"; font-family: {family[1]}", "").replace("<svg ", f'<svg font-family="{family[1]}" ', 1)
    text = re.sub(r'( id="|url\(#|xlink:href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"(?<![\w.#-])-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def spread(values: Iterable[float], share: float = 0.06) -> tuple[float, float]:
    """Limits of an axis that hold all values with some room, and that are never equal."""
    found = [float(value) for value in values if value == value]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    room = (high - low) * share or 1.0
    return low - room, high + room
