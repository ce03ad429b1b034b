"""The fingerprint of code: it follows meaning, not text, through all modules that a script reaches."""

import os
from pathlib import Path

import pytest

from gradual.ground.errors import InputError
from gradual.workflow import fingerprint
from gradual.workflow.fingerprint import code_fingerprint

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
FILES = {
    "run_it.py": '"""Run it."""\nfrom gradual import first\nimport json\n\n\ndef main():\n    print(first.one(2))\n',
    "gradual/first.py": "from gradual.deep.second import two\n\n\ndef one(x):\n    return two(x) + 1\n",
    "gradual/deep/__init__.py": "",
    "gradual/deep/second.py": "def two(x):\n    from . import third\n    return third.THREE * x\n",
    "gradual/deep/third.py": "from ..fourth import FOUR\nTHREE = FOUR - 1\n",
    "gradual/fourth.py": "FOUR = 4\n",
    "gradual/unrelated.py": "FIVE = 5\n",
}


@pytest.fixture
def project(tmp_path):
    """A function that writes files of a small project, over those of FILES, and gives its fingerprint."""

    def write(changes):
        for name, text in changes.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.stat().st_mtime_ns if path.exists() else 0
            path.write_text(text)
            os.utime(path, ns=(before + 10**9, before + 10**9))  # an edit within the clock's resolution

    def fingerprint(changes=None, chosen=None, kept=None):
        write(FILES)
        write(changes or {})
        return code_fingerprint(tmp_path / "run_it.py", tmp_path / "gradual", chosen, kept)

    return fingerprint


def test_16_hex_digits_that_are_stable(project):
    assert project() == project()
    assert len(project()) == 16 and int(project(), 16) >= 0


def test_the_same_in_every_python_version(project):
    """A digest made with Python 3.11: another one elsewhere means that the canonical form is not canonical."""
    code = "import gradual.first as f\n\n\nasync def g(x): ...\n\n\n"
    code += 'def h(x, *, y=None, **z):\n    with (open(x) as a, open(f"{x!r:>{y}}b") as b):\n'
    code += "        return {**z, 1: -1.5j}\n\n\nmatch 3:\n    case {'k': [1, *_]} | None:\n        pass\n\n\n"
    code += "@h\nclass C(object):\n    a: int = ...\n"
    assert project({"run_it.py": code}) == "566cc8e88978a022"


@pytest.mark.parametrize(
    "text",
    [
        FILES["run_it.py"].replace("Run it.", "Run it, please."),
        FILES["run_it.py"].replace('"""Run it."""\n', ""),
        FILES["run_it.py"].replace("def main():\n", 'def main():\n    """The main function."""\n'),
        FILES["run_it.py"] + "\n\n# the end\n",
        FILES["run_it.py"].replace("first.one(2)", "first.one(\n        2,  # two\n    )"),
        FILES["run_it.py"].replace("first.one(2)", "(first).one(0x2)"),
    ],
)
def test_comments_docstrings_and_format_do_not_count(project, text):
    assert project({"run_it.py": text}) == project()


@pytest.mark.parametrize("name", [name for name in FILES if "unrelated" not in name and "__init__" not in name])
def test_a_change_of_logic_counts_wherever_it_is(project, name):
    digits = {"1": "7", "2": "8", "4": "9"}
    text = FILES[name]
    digit = next((d for d in digits if d in text), None)
    changed = text.replace(digit, digits[digit]) if digit else text.replace("*", "+")
    assert changed != text
    assert project({name: changed}) != project()


def test_a_docstring_in_a_library_module_does_not_count(project):
    assert project({"gradual/fourth.py": '"""Four."""\n\nFOUR = 4  # four\n'}) == project()
    assert project({"gradual/deep/__init__.py": '"""A package."""\n'}) == project()


def test_what_is_kept_of_modules_replaces_parsing_and_changes_no_fingerprint(project, tmp_path, monkeypatch):
    changes = CHOICES | {"gradual/fourth.py": 'RESOURCES = ("four.csv",)\nFOUR = 4\n', "gradual/four.csv": "4\n"}
    parsed = project(changes, {"engine": ["two"]})
    kept = tmp_path / "kept"
    assert project(changes, {"engine": ["two"]}, kept) == parsed
    monkeypatch.setattr(fingerprint.ast, "parse", None)  # so that parsing raises an error
    assert project(changes, {"engine": ["two"]}, kept) == parsed
    with pytest.raises(TypeError):
        project(changes | {"gradual/fourth.py": "FOUR = 5\n"}, {"engine": ["two"]}, kept)


@pytest.mark.parametrize("text", ["", "null", "[]", '["digest", [], [["engine"]], []]'])
def test_a_broken_file_of_what_is_kept_is_made_again(project, tmp_path, text):
    kept = tmp_path / "kept"
    found = project(CHOICES, kept=kept)
    files = {file: file.read_text() for file in kept.iterdir()}
    for file in files:
        file.write_text(text)
    assert project(CHOICES, kept=kept) == found
    assert {file: file.read_text() for file in kept.iterdir()} == files


def test_without_a_place_for_what_is_kept_the_modules_are_parsed(project, tmp_path):
    (tmp_path / "kept").write_text("a file in the place of the folder")
    assert project(kept=tmp_path / "kept") == project()


ENGINES = 'Choice("engine", {"one": "gradual.unrelated:f", "two": "gradual.deep.other:g"})'
CHOICES = {
    "run_it.py": f"{FILES['run_it.py']}\nENGINES = {ENGINES}\n",
    "gradual/deep/other.py": "from gradual.more import SIX\n",
    "gradual/more.py": "SIX = 6\n",
}


def test_of_a_choice_only_what_is_chosen_counts_and_what_it_imports(project):
    edited = CHOICES | {"gradual/more.py": "SIX = 7\n"}
    assert project(edited, {"engine": ["one"]}) == project(CHOICES, {"engine": ["one"]})
    assert project(edited, {"engine": ["two"]}) != project(CHOICES, {"engine": ["two"]})
    assert project(edited, {"engine": ["one", "two"]}) != project(CHOICES, {"engine": ["one", "two"]})
    assert project(edited, {"another": ["one"]}) != project(
        CHOICES, {"another": ["one"]}
    )  # all count, as none is chosen
    assert project(CHOICES, {"engine": ["one"]}) != project(CHOICES, {"engine": ["two"]})


def test_a_choice_that_is_new_or_lies_elsewhere_counts_only_where_it_is_chosen(project):
    more = CHOICES | {"run_it.py": CHOICES["run_it.py"].replace("{", '{"three": "gradual.more:h", ')}
    moved = CHOICES | {"run_it.py": CHOICES["run_it.py"].replace("other:g", "other:h")}
    for changed in (more, moved):
        assert project(changed, {"engine": ["one"]}) == project(CHOICES, {"engine": ["one"]})
        assert project(changed) != project(CHOICES)


@pytest.mark.parametrize("call", ["Choice(SETTING, {})", 'Choice("engine", PLACES)', 'Choice("engine", {n: "a:b"})'])
def test_a_choice_that_is_computed_is_refused(project, call):
    with pytest.raises(InputError, match=r"run_it\.py, row 1: the arguments of Choice are computed"):
        project({"run_it.py": f"x = {call}\n"})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    raise ValueError('no such thing')", "    raise ValueError(f'no {x}') from error"),
        (
            "    if x:\n        problem = 'no such thing'\n        raise ValueError(problem)",
            "    if x:\n        problem = f'there is no {x}'\n        raise ValueError(problem)",
        ),
        ("    log.info('%d done', x)", "    log.warning('%d of them are done', x)"),
        ("    parser.add_argument('--x', help='a thing')", "    parser.add_argument('--x', help='another thing')"),
    ],
)
def test_what_is_only_said_does_not_count(project, before, after):
    body = "\n\ndef g(x):\n{}\n    return x\n"
    assert project({"run_it.py": FILES["run_it.py"] + body.format(before)}) == project(
        {"run_it.py": FILES["run_it.py"] + body.format(after)}
    )


def test_which_error_is_raised_counts_and_so_does_a_text_that_is_returned(project):
    body = "\n\ndef g(x):\n    {}\n"
    texts = ["raise ValueError('no')", "raise TypeError('no')", "return 'no'", "return 'yes'", "x.info('yes')"]
    texts += [f"said = '{said}'\n    print(said)\n    raise ValueError(said)" for said in ("one", "two")]
    assert len({project({"run_it.py": FILES["run_it.py"] + body.format(text)}) for text in texts}) == len(texts)


def test_packages_count_with_their_modules(project):
    assert project({"gradual/deep/__init__.py": "import os\n"}) != project()


def test_modules_that_are_not_imported_do_not_count(project):
    assert project({"gradual/unrelated.py": "FIVE = 6\n", "gradual/new.py": "x = 1\n"}) == project()


@pytest.mark.parametrize(
    "statement",
    [
        "import gradual.unrelated",
        "from gradual import unrelated",
        "from gradual.unrelated import FIVE",
        "from gradual.unrelated import *",
        "def f():\n    import gradual.unrelated as u\n",
        "if True:\n    from gradual import unrelated as u\n",
        'import importlib\nimportlib.import_module("gradual.unrelated")',
        'from importlib import import_module\nimport_module("gradual.unrelated")',
        '__import__("gradual.unrelated")',
    ],
)
def test_every_form_of_import_is_followed(project, statement):
    script = {"run_it.py": f"{FILES['run_it.py']}\n{statement}\n"}
    assert project(script) != project(script | {"gradual/unrelated.py": "FIVE = 6\n"})


@pytest.mark.parametrize("statement", ["from .unrelated import FIVE", "from . import unrelated"])
def test_relative_imports_of_a_package_are_followed(project, statement):
    module = {"gradual/first.py": f"{FILES['gradual/first.py']}\n{statement}\n"}
    assert project(module) != project(module | {"gradual/unrelated.py": "FIVE = 6\n"})


def test_another_script_that_is_imported_counts(project):
    script = {"run_it.py": "from other import x\n", "other.py": "x = 1\n"}
    assert project(script) != project(script | {"other.py": "x = 2\n"})


def test_a_circle_of_imports_ends(project):
    assert project({"gradual/fourth.py": "import gradual.first\nFOUR = 4\n"}) != project()


@pytest.mark.parametrize(
    "call",
    [
        'importlib.import_module(f"gradual.{name}")',
        "importlib.import_module(name)",
        'importlib.import_module(".first", "gradual")',
        "__import__(name)",
    ],
)
def test_computed_imports_are_refused(project, call):
    with pytest.raises(InputError, match=r"run_it\.py, row 4: .* of a computed name; expected an absolute name"):
        project({"run_it.py": f"import importlib\n\n\nx = lambda name: {call}\n"})


def test_resources_count(project):
    module = {"gradual/fourth.py": 'RESOURCES = ("four.csv",)\nFOUR = 4\n', "gradual/four.csv": "4\n"}
    assert project(module) != project()
    assert project(module) != project(module | {"gradual/four.csv": "5\n"})
    assert project(module) == project(module | {"gradual/five.csv": "5\n"})


@pytest.mark.parametrize("names", ["[__name__]", '"four.csv"', "(4,)", "tuple(NAMES)"])
def test_resources_that_are_no_literal_are_refused(project, names):
    with pytest.raises(InputError, match="expected a tuple of file names"):
        project({"gradual/fourth.py": f"RESOURCES = {names}\n"})


def test_a_missing_resource_is_refused(project):
    with pytest.raises(InputError, match=r"no file 'none\.csv'"):
        project({"gradual/fourth.py": 'RESOURCES: tuple[str, ...] = ("none.csv",)\n'})


def test_a_syntax_error_names_its_row(project):
    with pytest.raises(InputError, match=r"fourth\.py, row 2"):
        project({"gradual/fourth.py": "FOUR = 4\nFOUR = = 4\n"})


def test_a_missing_script_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.py"):
        code_fingerprint(tmp_path / "none.py", tmp_path / "gradual")


def test_all_scripts_of_the_project_have_fingerprints():
    found = {script.name: code_fingerprint(script, SCRIPTS / "gradual") for script in SCRIPTS.glob("*.py")}
    assert len(set(found.values())) == len(found) > 1


def test_files_of_the_library_that_are_no_code_are_declared_as_resources():
    for path in (SCRIPTS / "gradual").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            beside = [module.read_text(encoding="utf-8") for module in path.parent.glob("*.py")]
            assert any("RESOURCES" in text and f'"{path.name}"' in text for text in beside), path
