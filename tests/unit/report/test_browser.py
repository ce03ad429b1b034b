"""The page in a real browser, as wide as a phone and as a desk's screen: nothing fails, is cut, or lies over something."""

import pytest

import write_report
from chromium import CHROMIUM, browser
from gradual.report.registry import FIGURES
from report_folder import copied

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (apt-get install chromium)")

# Of every text of a figure: what it says, its place in the window, its size in pixels, and whether it is inside its figure.
TEXTS = """[...document.querySelectorAll('figure > svg')].map(svg => {
  const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
  return [svg.parentNode.id, [...svg.querySelectorAll('text')].map(text => {
    const r = text.getBoundingClientRect(), size = parseFloat(getComputedStyle(text).fontSize) * scale;
    const inside = r.left >= box.left - 1 && r.right <= box.right + 1 && r.top >= box.top - 1 && r.bottom <= box.bottom + 1;
    return {said: text.textContent, left: r.left, right: r.right, top: r.top, bottom: r.bottom, size, inside};
  })];
})"""
OPEN = "document.querySelectorAll('details').forEach(fold => fold.open = true)"
WIDTH = "[document.documentElement.scrollWidth, window.innerWidth]"
BROKEN = "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src)"


# Of one seed, of ten, and of one model; with replay; and answers that change. Together they have every figure.
STUDIES = ("default", "replicated", "smollm2", "replay_sweep", "multi_stage", "multi_stage_sweep", "cross_domain")
A4 = 718  # pixels between the margins of a printed page
PRINTED = 8  # pixels, which are 6 points on paper
# Of every table below the figures: whether it is seen.
SEEN = "[...document.querySelectorAll('h2#tables ~ details > .scroll > table')].map(table => table.checkVisibility())"
WHOLE = "[...document.querySelectorAll('details details table')].filter(table => table.checkVisibility()).length"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The reports of some published studies."""
    made = {}
    for study in STUDIES:
        made[study] = copied(study, tmp_path_factory.mktemp("report"))
        write_report.main(["--results", str(made[study]), "--figures", *figures_of(made[study])])
    return made


def figures_of(folder):
    """The names of a study's figures."""
    return [file.stem for file in sorted((folder / "figures").glob("*.svg"))]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def overlapping(texts):
    """Pairs of texts that lie over each other by more than their edges."""
    pairs = [(a, b) for number, a in enumerate(texts) for b in texts[:number]]
    wide = [(min(a["right"], b["right"]) - max(a["left"], b["left"]), a, b) for a, b in pairs]
    return [
        (a["said"], b["said"])
        for across, a, b in wide
        if across > 1 and min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 0.35 * (a["bottom"] - a["top"])
    ]


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_whole_and_legible(shown, folders, study, width):
    shown.open(folders[study] / "report.html", width)
    figures = dict(shown.evaluate(TEXTS))
    assert sorted(figures) == figures_of(folders[study]) and all(figures.values())
    for name, texts in figures.items():
        assert [text["said"] for text in texts if text["size"] < 10] == [], name
        assert [text["said"] for text in texts if not text["inside"]] == [], name
        assert overlapping(texts) == [], name
    shown.evaluate(OPEN)
    across, window = shown.evaluate(WIDTH)
    assert window == width and across <= width
    assert shown.evaluate(BROKEN) == []
    assert shown.complaints() == []


def test_every_figure_is_looked_at(folders):
    assert {name for folder in folders.values() for name in figures_of(folder)} == {*FIGURES}


@pytest.mark.parametrize("study", STUDIES)
def test_a_printed_page_has_its_tables_and_can_be_read(shown, folders, study):
    shown.ask("Emulation.setEmulatedMedia", media="screen")
    shown.open(folders[study] / "report.html", A4)
    assert not any(shown.evaluate(SEEN))  # on the screen they are folded
    shown.ask("Emulation.setEmulatedMedia", media="print")
    seen = shown.evaluate(SEEN)
    assert seen and all(seen) and shown.evaluate(WHOLE) == 0
    for name, texts in dict(shown.evaluate(TEXTS)).items():
        assert [text["said"] for text in texts if text["size"] < PRINTED] == [], name
    shown.ask("Emulation.setEmulatedMedia", media="screen")


def test_the_browser_sees_what_is_wrong(shown, tmp_path):
    """Else the test above would find nothing to object to."""
    (tmp_path / "bad.html").write_text(
        '<meta name="viewport" content="width=device-width"><div style="width: 900px">wide</div><img src="none.png">'
        '<figure id="f"><svg viewBox="0 0 100 100" width="100"><text x="90" y="50" font-size="5">cut off</text>'
        '<text x="91" y="50" font-size="5">over</text></svg></figure><script>console.error("wrong")</script>'
    )
    shown.open(tmp_path / "bad.html", 390)
    [(_, texts)] = shown.evaluate(TEXTS)
    assert not texts[0]["inside"] and texts[0]["size"] < 10 and overlapping(texts)
    assert shown.evaluate(WIDTH)[0] > 390 and len(shown.evaluate(BROKEN)) == 1
    assert any("wrong" in said for said in shown.complaints())
