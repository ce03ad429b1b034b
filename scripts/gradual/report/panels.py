"""Small panels in rows of two, with a common scale: what figures over epochs, steps and stages are made of."""

from collections.abc import Sequence
from typing import Any

from gradual.report.canvas import MEDIUM, WIDTH, Canvas, Entry, legend_height, shortened, tidy, wrapped

LEFT, GAP, HIGH = 42, 28, 104  # the room for ticks and between the panels, and the height of one
WIDE = (WIDTH - LEFT - GAP - 12) / 2


class Panels:
    """A canvas with groups of panels: a heading per group, a title per panel, and axes for each, in order.

    `groups` have a heading and the titles of its panels. `xlabel` and `ylabel` stand once.
    """

    def __init__(
        self, groups: Sequence[tuple[str, Sequence[str]]], xlabel: str, ylabel: str, entries: Sequence[Entry]
    ) -> None:
        head = 30 if any(len(wrapped(title, WIDE)) > 1 for _, titles in groups for title in titles) else 18
        top = legend_height(entries) + 2
        rows = sum((len(titles) + 1) // 2 for _, titles in groups)
        self.canvas = Canvas(top + 20 * len(groups) + rows * (HIGH + head + 22) + 38)
        self.canvas.legend(2, entries)
        self.canvas.text(8, top + 8, ylabel)
        top += 16
        self.axes: list[list[Any]] = []
        for heading, titles in groups:
            self.canvas.text(8, top + 12, heading, weight="bold", size=MEDIUM)
            top += 20
            self.axes.append([])
            for number, title in enumerate(titles):
                left = LEFT + (number % 2) * (WIDE + GAP)
                lines = wrapped(title, WIDE)[:2]
                for place, line in enumerate(lines):
                    middle = top + head - 8 - 12 * (len(lines) - 1 - place)
                    self.canvas.text(left, middle, shortened(line, WIDE))
                axes = self.canvas.axes(left, top + head, WIDE, HIGH)
                if number % 2:
                    axes.tick_params(labelleft=False)
                tidy(axes, "y")
                self.axes[-1].append(axes)
                if number % 2 or number == len(titles) - 1:
                    top += HIGH + head + 22
        self.canvas.text(WIDTH / 2, top + 6, xlabel, ha="center")

    def limit(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Give all panels the same scale."""
        for each in self.axes:
            for axes in each:
                axes.set_xlim(*x)
                axes.set_ylim(*y)
