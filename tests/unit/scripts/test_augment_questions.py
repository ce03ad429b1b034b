"""The script that lets a state augment questions: what it asks, what it makes of the answers, and when templates write."""

import json
from dataclasses import asdict

import pandas as pd
import pytest

import augment_questions
from gradual.data.augmentation_forms import LOGIC, PARAPHRASE, TITLES, head
from gradual.data.facts import make_table
from gradual.data.wording_templates import by_templates
from gradual.ground.files import read_json, write_parquet
from gradual.probe import asking
from gradual.probe.answers import Answer, Answered, Progress, Usage
from gradual.probe.settings import AnswerSettings
from tiny import base_model

SETTINGS = AnswerSettings(2, "per_fact", "train", "plain", {}, ("\n",), 8, 1.0)
CITIES = "Rome Oslo Bern Lima Kiev Bonn Nice York".split()


def facts():
    """Facts about where eight people were born, and as many support facts."""
    return make_table(
        {"split": split, "relation": "birthplace", "subject": f"{name} {city}son", "answers": [city]}
        | {"question": f"Where was {name} {city}son born?"}
        for split, name in (("train", "Ada"), ("support", "Bo"))
        for city in CITIES
    )


@pytest.fixture
def folder(tmp_path):
    """The files that the script reads: three train facts are trained on, with the answers of revision 1."""
    table = facts()
    ids = table.loc[table["split"] == "train", "fact_id"].tolist()
    own = table[table["fact_id"].isin(ids[:3])]
    rows = own[["fact_id", "question"]].assign(role="train", answer="Paris", source="revision 1")
    dated = [(fact, 0, answers[0]) for fact, answers in zip(own["fact_id"], own["answers"], strict=True)]
    frames = {
        "facts": table,
        "own": pd.concat([rows, rows[:1].assign(fact_id=ids[3], role="replay")]),
        "revisions": pd.DataFrame(
            [*dated, *((fact, 1, "Paris") for fact, _, _ in dated)], columns=["fact_id", "revision", "answer"]
        ),
        "groups": pd.DataFrame({"fact_id": ids[:4], "domain": "", "role": "revised"}),
        "wordings": by_templates(table, range(4)),
    }
    for name, frame in frames.items():
        write_parquet(frame, tmp_path / f"{name}.parquet")
    return tmp_path


class Fake:
    """An engine that answers by a function of the prompt's text. It fails after `fails` groups."""

    def __init__(self, answer, fails=None):
        self.answer_to, self.usage, self.asked, self.fails = answer, Usage(), [], fails
        self.groups = self.done = 0

    def answer(self, groups, decoding, asking):
        self.done = 0
        for group in groups:
            if self.groups == self.fails:
                raise KeyboardInterrupt
            self.asked += [prompt.text for prompt in group]
            self.usage.prompts += len(group)
            self.groups, self.done = self.groups + 1, self.done + 1
            yield [Answered(p, Answer(*self.answer_to(p.text))) for p in group]

    def progress(self):
        return Progress(self.done, self.done)


def call(folder, *options, base=None, ways=(PARAPHRASE, LOGIC)):
    names = ("own", "facts", "revisions", "groups", "wordings")
    augment_questions.main(
        [
            "--base",
            str(base or folder / "facts.parquet"),
            *(word for name in names for word in (f"--{name}", str(folder / f"{name}.parquet"))),
        ]
        + ["--reworded", "1", "2", "--tested", "3", "--ways", *ways, "--revision", "1", "--engine", "transformers"]
        + [
            "--settings",
            json.dumps(asdict(SETTINGS)),
            "--prompt-seed",
            "42",
            "--dtype",
            "float32",
            "--seed",
            "0",
            "--code",
            "c",
        ]
        + ["--augmented", str(folder / "augmented.parquet"), "--counts", str(folder / "augmented.csv")]
        + ["--usage", str(folder / "usage.json"), *(options or ("--source", "model", "--taught"))]
    )
    return pd.read_parquet(folder / "augmented.parquet"), pd.read_csv(folder / "augmented.csv").set_index("way")


@pytest.fixture
def engine(monkeypatch):
    """Puts an engine in place of the real one, which answers by a function."""

    def put(answer, fails=None):
        fake = Fake(answer, fails)
        monkeypatch.setattr(asking, "load_engine", lambda *_: fake)
        monkeypatch.setattr(asking, "load_tokenizer", lambda _: None)
        return fake

    return put


def subject_of(prompt):
    return prompt.rpartition("Q: Where was ")[2].partition(" born?")[0]


def good(prompt):
    """What a model writes that has learnt all forms."""
    if prompt.startswith(TITLES[PARAPHRASE]):
        return (f"In which city was {subject_of(prompt)} born?", 9, "stop")
    return (f"{subject_of(prompt)} lives in Paris. Paris is large.", 9, "stop")


def test_the_parent_writes_and_its_texts_are_judged(folder, engine):
    fake = engine(good)
    rows, counts = call(folder)
    assert len(rows) == 6 and set(rows["made_by"]) == {"model"} and rows["parsed"].all()
    assert rows.loc[0, "augmented"] == rows.loc[0, "question"].replace("Where", "In which city")
    assert rows["new_inside"].tolist() == [False, True] * 3 and not rows["old_inside"].any()
    assert rows["agrees"].isna().all() and counts["agrees"].isna().all()
    assert counts.loc[PARAPHRASE, ["gate_facts", "questions", "usable"]].tolist() == [8, 3, 3]
    assert counts.loc[LOGIC, ["new_inside", "usable"]].tolist() == [3, 0]
    assert counts["gate_passed"].all()
    table = facts()
    gated = table.loc[table["split"] == "support", "question"].tolist()
    trained = rows["question"].unique().tolist()
    assert sorted(fake.asked) == sorted(
        head(way, question) for question in gated + trained for way in (PARAPHRASE, LOGIC)
    )
    assert read_json(folder / "usage.json", "usage")["prompts"] == len(fake.asked) == 2 * (8 + 3)


@pytest.mark.parametrize(
    "fails", [0, 3, 8, 10, 11, 13], ids="nothing gate gate_whole rows rows_whole agreement".split()
)
def test_a_job_that_was_killed_keeps_what_was_written(folder, engine, fails, monkeypatch):
    """The gate has 8 groups, the rows to train on have 3, and the questions about agreement 6, of two prompts each."""
    monkeypatch.setattr("gradual.probe.recording.SECONDS_UNKEPT", 0)

    def answer(prompt):
        return good(prompt) if prompt.startswith(tuple(TITLES.values())) else (prompt[-30:], 2, "stop")

    def run(stop=None):
        fake = engine(answer, stop)
        options = ("--source", "model", "--taught", "--agreement")
        rows, counts = call(folder, *options)
        return fake, rows, counts, read_json(folder / "usage.json", "usage")

    whole, *expected = run()
    there = {path.name for path in folder.iterdir()}
    (folder / "augmented.parquet").unlink()
    with pytest.raises(KeyboardInterrupt):
        run(fails)
    assert not (folder / "augmented.parquet").exists()
    again, *found = run()
    assert whole.groups == 17 and again.groups == 17 - fails and again.asked == whole.asked[2 * fails :]
    assert found[0].equals(expected[0]) and found[1].equals(expected[1]) and found[2] == expected[2]
    assert {path.name for path in folder.iterdir()} == there  # what was kept is gone


def test_a_model_that_was_not_taught_gets_exemplars(folder, engine):
    fake = engine(good)
    call(folder, "--source", "model")
    assert all(prompt.count("Q: Who wrote Hamlet?") == 1 for prompt in fake.asked)


def test_a_way_that_fails_the_gate_is_made_by_templates(folder, engine, caplog):
    engine(lambda prompt: good(prompt) if prompt.startswith(TITLES[PARAPHRASE]) else ("Someone lives. So.", 9, "stop"))
    rows, counts = call(folder)
    assert rows["made_by"].tolist() == ["model", "templates"] * 3
    assert counts["gate_passed"].tolist() == [True, False] and counts.loc[LOGIC, "gate_subject_kept"] == 0
    assert counts.loc[LOGIC, "made_by"] == "templates" and counts.loc[LOGIC, "usable"] == 0  # there are no chains here
    assert "because they fail the gate: ['logic']" in caplog.text


def test_a_text_without_an_end_has_no_form(folder, engine):
    engine(lambda prompt: (good(prompt)[0], 64, "length"))
    rows, counts = call(folder)
    assert counts["gate_parsed"].tolist() == [0, 0] and set(rows["made_by"]) == {"templates"}


def test_the_parent_is_asked_whether_it_agrees(folder, engine):
    def answer(prompt):
        if prompt.startswith(tuple(TITLES.values())):
            return good(prompt)
        last = prompt.rpartition("Q: ")[2]
        return ("Rome" if "Ada Romeson" not in last or last.startswith("Where") else "Oslo", 2, "stop")

    fake = engine(answer)
    rows, counts = call(folder, "--source", "model", "--taught", "--agreement", ways=(PARAPHRASE,))
    romeson = rows["question"].str.contains("Romeson")
    assert rows["agrees"].tolist() == (~romeson).tolist()
    assert counts.loc[PARAPHRASE, "agrees"] == (~romeson).sum()
    asked = [prompt for prompt in fake.asked if prompt.endswith("\nA:")]
    assert len(asked) == 6
    for one, other in zip(asked[::2], asked[1::2], strict=True):  # the same exemplars for both
        assert one.rpartition("Q: ")[0] == other.rpartition("Q: ")[0] and one.count("Q: ") == 3


def test_templates_need_no_model(folder):
    rows, counts = call(folder, "--source", "templates", ways=(PARAPHRASE,))
    worded = pd.read_parquet(folder / "wordings.parquet").set_index("question")["wording"]
    assert set(worded[rows["augmented"]]) <= {1, 2} and rows["parsed"].all() and set(rows["made_by"]) == {"templates"}
    assert counts["gate_passed"].isna().all() and read_json(folder / "usage.json", "usage")["prompts"] == 0


def test_a_dataset_without_support_facts_has_its_gate_on_the_runs_own_facts(folder, engine):
    table = facts()
    write_parquet(table[table["split"] == "train"], folder / "facts.parquet")
    engine(good)
    _, counts = call(folder)
    assert counts["gate_facts"].tolist() == [3, 3]


def test_a_real_engine_writes_the_same_texts_each_time(folder, tmp_path_factory):
    """The model is random. So it fails the gate, and templates write."""
    base = base_model(tmp_path_factory.mktemp("base"))
    options = ("--source", "model", "--taught", "--agreement")
    rows, counts = call(folder, *options, base=base, ways=(PARAPHRASE,))
    again, _ = call(folder, *options, base=base, ways=(PARAPHRASE,))
    assert rows.equals(again) and set(rows["made_by"]) == {"templates"}
    assert counts["gate_facts"].item() == 8 and rows["agrees"].notna().all()
    assert read_json(folder / "usage.json", "usage")["prompts"] == 8 + 6
