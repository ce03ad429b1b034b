"""The script that asks a state about the groups: what it asks, and how it goes on after it was killed."""

import json
from dataclasses import asdict

import pandas as pd
import pytest

import ask_groups
from gradual.data.facts import make_table
from gradual.data.wording_templates import by_templates
from gradual.ground.files import read_json, write_parquet
from gradual.probe import asking
from gradual.probe.answers import Answer, Answered, Progress, Usage
from gradual.probe.settings import AnswerSettings

SETTINGS = AnswerSettings(2, "per_fact", "train", "plain", {}, ("\n",), 8, 1.0)
CITIES = "Rome Oslo Bern Lima Kiev Bonn".split()
GROUPED = 4  # facts


class Engine:
    """Answers with the end of the prompt. It fails after `fails` prompts."""

    def __init__(self, fails=None):
        self.usage, self.asked, self.fails, self.done = Usage(), [], fails, 0

    def answer(self, groups, decoding, asking):
        self.done = 0
        for [prompt] in groups:
            if len(self.asked) == self.fails:
                raise KeyboardInterrupt
            self.asked.append(prompt.text)
            self.usage.prompts, self.done = self.usage.prompts + 1, self.done + 1
            yield [Answered(prompt, Answer(prompt.text[-12:-3], 2, "stop"))]

    def progress(self):
        return Progress(self.done, self.done)


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Runs the script with an engine; returns the prompts that were asked, the answers and the usage."""
    table = make_table(
        {"split": "train", "relation": "birthplace", "subject": f"Ada {city}son", "answers": [city]}
        | {"question": f"Where was Ada {city}son born?"}
        for city in CITIES
    )
    frames = {
        "facts": table,
        "groups": pd.DataFrame({"fact_id": table["fact_id"][:GROUPED], "domain": "", "role": "revised"}),
        "wordings": by_templates(table, range(4)),
    }
    for name, frame in frames.items():
        write_parquet(frame, tmp_path / f"{name}.parquet")
    monkeypatch.setattr(asking, "load_tokenizer", lambda _: None)
    monkeypatch.setattr("gradual.probe.recording.SECONDS_UNKEPT", 0)

    def run(fails=None, *, probe=0, code="c"):
        engine = Engine(fails)
        monkeypatch.setattr(asking, "load_engine", lambda *_: engine)
        ask_groups.main(
            ["--base", str(tmp_path / "facts.parquet")]
            + [word for name in frames for word in (f"--{name}", str(tmp_path / f"{name}.parquet"))]
            + ["--asked", "0", "3", "--settings", json.dumps(asdict(SETTINGS)), "--engine", "transformers"]
            + f"--prompt-seed 42 --probe {probe} --dtype float32 --code {code}".split()
            + ["--generations", str(tmp_path / "answers.parquet"), "--usage", str(tmp_path / "usage.json")]
        )
        return engine.asked, pd.read_parquet(tmp_path / "answers.parquet"), read_json(tmp_path / "usage.json", "usage")

    run.folder = tmp_path
    return run


def test_each_fact_of_the_groups_is_asked_in_each_wording_with_the_same_exemplars(ask):
    asked, answers, usage = ask()
    assert len(asked) == usage["prompts"] == 2 * GROUPED
    assert answers["wording"].tolist() == [0] * GROUPED + [3] * GROUPED
    assert answers["fact_id"].nunique() == GROUPED
    for one, other in zip(asked[:GROUPED], asked[GROUPED:], strict=True):
        assert one.rpartition("Q: ")[0] == other.rpartition("Q: ")[0] and one != other
    others, _, _ = ask(probe=1)
    assert [text.rpartition("Q: ")[2] for text in others] == [text.rpartition("Q: ")[2] for text in asked]
    assert others != asked  # by their exemplars


@pytest.mark.parametrize("fails", [0, 3, GROUPED, 6])
def test_a_job_that_was_killed_asks_only_what_is_left(ask, fails):
    asked, answers, usage = ask()
    there = {path.name for path in ask.folder.iterdir()}
    (ask.folder / "answers.parquet").unlink()
    with pytest.raises(KeyboardInterrupt):
        ask(fails)
    assert not (ask.folder / "answers.parquet").exists()
    again, same, counted = ask()
    assert again == asked[fails:] and same.equals(answers) and counted == usage
    assert {path.name for path in ask.folder.iterdir()} == there


def test_answers_of_other_code_are_asked_again(ask):
    with pytest.raises(KeyboardInterrupt):
        ask(3)
    asked, _, _ = ask(code="d")
    assert len(asked) == 2 * GROUPED
