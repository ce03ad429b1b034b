"""Readers: the real datasets, small good ones, and what they refuse."""

import hashlib
import json
import stat
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from gradual.data import facts as f
from gradual.data import subsets
from gradual.data.dataset import READERS
from gradual.data.readers import raw, wikiqa
from gradual.data.readers.entity_questions import TEMPLATES
from gradual.data.readers.question_types import question_type
from gradual.ground.errors import InputError

HEADER = "QuestionID\tQuestion\tDocumentID\tDocumentTitle\tSentenceID\tSentence\t"
PHRASES = HEADER + "AnswerPhrase1\tAnswerPhrase2\tAnswerPhrase3\n"
LABELS = HEADER + "Label\n"
TRAIN = '{"question": "Where is it?", "answer": "here"}\n'


def phrase_line(name="Q1", question="how deep is it?", phrases=("deep", "", "")):
    return "\t".join([name, question, "D1", "Ocean", "D1-0", "It is deep .", *phrases]) + "\n"


def label_line(name="Q1"):
    return "\t".join([name, "how deep is it?", "D1", "Ocean", "D1-0", "It is deep .", "1"]) + "\n"


def entity_files(**changes):
    """The files of a small EntityQuestions; a change names one by relation and split, with None to leave it out."""
    files = {}
    for relation in ("P17", "P19"):
        for split in ("train", "dev", "test"):
            question = TEMPLATES[relation].format(f"{split} thing")
            rows = json.dumps([{"question": question, "answers": ["Bern"]}])
            content = changes.get(f"{relation}_{split}", rows)
            if content is not None:
                files[f"dataset/{split}/{relation}.{split}.json"] = content
    return files


def write_folder(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def write_zip(path, files):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the repeated names that a test wants
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items() if isinstance(files, dict) else files:
                archive.writestr(name, content)
    return path


def listing(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


# --- the real datasets ---------------------------------------------------------------------------------------------


def test_entity_questions_has_the_counts_of_the_paper(real_data):
    facts = READERS["entity_questions"].read(real_data("entity_questions"))
    counts = f.count(f.validate(facts, "x")).set_index("split")
    assert counts["facts"].to_dict() == {"train": 176_560, "dev": 22_068, "test": 22_075}
    assert counts["single_answer"].to_dict() == {"train": 169_164, "dev": 21_174, "test": 21_206}
    assert set(counts["relations"]) == {24}
    kept = subsets.single_answer(facts, f.SPLITS)
    train = kept[kept["split"] == "train"]
    pairs = train["question"] + "\n" + train["answers"].str[0]
    assert (len(train), pairs.nunique()) == (169_164, 168_799)
    assert (facts["subject"].str.strip() != "").all()
    assert facts.loc[facts["question"] == "Who performed Rodney Crowell - Greatest Hits?", "relation"].tolist() == [
        "P175"
    ]


def test_templates_are_those_of_the_dataset(real_data):
    published = json.loads((real_data("entity_questions") / "relation_query_templates.json").read_text())
    assert {relation: published[relation].replace("[X]", "{}") for relation in TEMPLATES} == TEMPLATES
    assert len(TEMPLATES) == 24
    assert TEMPLATES["P131"] == TEMPLATES["P276"]


def test_wikiqa_has_its_1227_questions_with_a_phrase(real_data):
    folder = real_data("wikiqa")
    assert wikiqa.count_questions(folder) == (1242, 1227)
    facts = f.validate(READERS["wikiqa"].read(folder, type_from="question_word"), "x")
    assert len(facts) == 1227
    assert set(facts["relation"]) == {"who", "what", "when", "where", "how"}
    assert not facts["answers"].map(lambda answers: "NO_ANS" in answers or len(set(answers)) < len(answers)).any()
    listed = {line.split("\t")[0] for line in (folder / "WikiQA-dev.tsv").read_text(encoding="utf-8").split("\n")[1:]}
    if not (folder / "WikiQA-train.tsv").exists():  # the copy for development has the dev split only
        assert facts["split"].value_counts().to_dict() == {"train": 1102, "dev": 125}
        assert len(listed) == 297  # 296 questions and the empty last line


# --- small good datasets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "dataset/", "EntityQuestions-bac842b/dataset/"])
@pytest.mark.parametrize(
    "write", [lambda p, fs: write_folder(p / "data", fs), lambda p, fs: write_zip(p / "d.zip", fs)]
)
def test_entity_questions_folder_or_archive(tmp_path, prefix, write):
    files = {name.replace("dataset/", prefix): content for name, content in entity_files().items()}
    files |= {f"{prefix}README.md": "about", "__MACOSX/._P17.train.json": b"\0\1"}
    source = write(tmp_path, files)
    before = listing(tmp_path)
    facts = READERS["entity_questions"].read(source)
    assert len(f.validate(facts, source)) == 6
    row = facts[(facts["relation"] == "P19") & (facts["split"] == "dev")].iloc[0]
    assert (row["subject"], row["question"], row["answers"]) == ("dev thing", "Where was dev thing born?", ["Bern"])
    assert listing(tmp_path) == before


def test_archive_and_folder_give_the_same_table(tmp_path):
    folder = READERS["entity_questions"].read(write_folder(tmp_path / "d", entity_files()))
    archive = READERS["entity_questions"].read(write_zip(tmp_path / "d.zip", entity_files()))
    pd.testing.assert_frame_equal(folder, archive)


def test_subjects_that_look_like_the_template(tmp_path):
    rows = json.dumps([{"question": "Where was Where was born? born?", "answers": ["a", "a"]}])
    facts = READERS["entity_questions"].read(write_folder(tmp_path, entity_files(P19_train=rows)))
    assert "Where was born?" in set(facts["subject"])
    assert ["a", "a"] in facts["answers"].tolist()  # as they stand


def test_linked_dataset_folder(tmp_path):
    write_folder(tmp_path / "far", entity_files())
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "dataset").symlink_to(tmp_path / "far" / "dataset")
    assert len(READERS["entity_questions"].read(tmp_path / "near")) == 6


def test_wikiqa_phrases_splits_and_types(tmp_path):
    phrases = (
        PHRASES
        + phrase_line("Q1", "How deep is it?", ("", "deep", "very deep"))
        + phrase_line("Q1", "How deep is it?", ("deep", "NO_ANS", "so deep"))
        + phrase_line("Q2", '"who" said that', ("me", "", ""))
        + phrase_line("Q3", "in which year", ("1999", "", ""))
        + phrase_line("Q4", "nothing?", ("NO_ANS", "", "NO_ANS"))
    )
    files = {"WikiQASent.pos.ans.tsv": phrases.replace("\n", "\r\n")}
    files |= {"WikiQA-dev.tsv": LABELS + label_line("Q1"), "WikiQA-test.tsv": LABELS + label_line("Q2") * 2}
    source = write_folder(tmp_path, files)
    facts = READERS["wikiqa"].read(source, type_from="question_word").set_index("split")
    assert facts["answers"].to_dict() == {"dev": ["deep", "very deep", "so deep"], "test": ["me"], "train": ["1999"]}
    assert facts["relation"].to_dict() == {"dev": "how", "test": "who", "train": "other"}
    assert set(facts["subject"]) == {"Ocean"}
    assert set(READERS["wikiqa"].read(source, type_from="one_pool")["relation"]) == {"question"}
    assert wikiqa.count_questions(source) == (4, 3)


def test_wikiqa_without_split_files_is_all_train(tmp_path):
    source = write_zip(tmp_path / "w.zip", {"WikiQACorpus/WikiQASent.pos.ans.tsv": PHRASES + phrase_line()})
    assert READERS["wikiqa"].read(source, type_from="one_pool")["split"].tolist() == ["train"]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Whose is it?", "who"),
        ("WHOM did it hit", "who"),
        ("what's up", "what"),
        ("Why?", "why"),
        ("which one", "which"),
        ("whatever happened", "what"),
        ("ever since when", "other"),
        ("¿?", "other"),
    ],
)
def test_question_words(question, kind):
    assert question_type(question, "question_word", "x", 1) == kind


def test_jsonl_forms(tmp_path):
    train = [
        {"question": "q1?", "answer": "a"},
        {"question": "q2?", "answer": ["a", "b"]},
        {"question": "q3?", "answers": ["a", "a"]},
        {"question": "q4?", "answer": {"value": "A", "aliases": ["A", "Ä"], "type": "WikipediaEntity"}, "id": 4},
        {"question": "q5?", "answer": {"value": "A"}, "relation": "r", "subject": " s "},
        {"question": " who? ", "answer": "a", "type": "t", "subject": None},
    ]
    lines = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in train) + "\r\n  \n"
    source = write_folder(tmp_path, {"train.jsonl": lines, "test.jsonl": TRAIN})
    facts = f.validate(READERS["jsonl"].read(source, type_from="question_word"), source).set_index("question")
    assert facts["answers"].to_dict() == {
        "q1?": ["a"],
        "q2?": ["a", "b"],
        "q3?": ["a"],
        "q4?": ["A", "Ä"],
        "q5?": ["A"],
        "who?": ["a"],
        "Where is it?": ["here"],
    }
    assert facts.loc["q5?", ["relation", "subject"]].tolist() == ["r", "s"]
    assert facts.loc["who?", ["relation", "subject"]].tolist() == ["t", ""]
    assert facts.loc["Where is it?", ["relation", "split"]].tolist() == ["where", "test"]


def test_jsonl_with_relations_needs_no_type_from(tmp_path):
    source = write_folder(tmp_path, {"train.jsonl": '{"question": "q?", "answer": "a", "relation": "r"}'})
    assert READERS["jsonl"].read(source, type_from=None)["relation"].tolist() == ["r"]


# --- what they refuse: files, and the file, row, key and words of the error ----------------------------------------


def entity(content, file="dataset/train/P17.train.json", **place):
    return "entity_questions", entity_files(P17_train=content), file, place


def jsonl(content, file="train.jsonl", **place):
    return "jsonl", {"train.jsonl": content}, file, place


def phrases(content, file="WikiQASent.pos.ans.tsv", **place):
    return "wikiqa", {"WikiQASent.pos.ans.tsv": content}, file, place


def answered(answers):
    return json.dumps([{"question": "Which country is it located in?", "answers": answers}])


MALFORMED = {
    "entity: nothing there": ("entity_questions", {"README.md": "x"}, "", {"says": "none of the files"}),
    "entity: a split missing": (
        "entity_questions",
        {name: text for name, text in entity_files().items() if ".dev." not in name},
        "",
        {"says": "no split 'dev'"},
    ),
    "entity: a file missing": ("entity_questions", entity_files(P19_test=None), "", {"says": "has no P19.test.json"}),
    "entity: file in another split's folder": (
        "entity_questions",
        entity_files(P17_train=None) | {"dataset/dev/P17.train.json": answered(["x"])},
        "dataset/dev/P17.train.json",
        {"says": "the folder 'train'"},
    ),
    "entity: two copies": (
        "entity_questions",
        entity_files() | {"copy/train/P17.train.json": answered(["x"])},
        "",
        {"says": "one P17.train.json"},
    ),
    "entity: relation without a template": (
        "entity_questions",
        {name.replace("P17", "P9999"): text for name, text in entity_files().items()},
        "dataset/dev/P9999.dev.json",
        {"says": "is of the unknown relation 'P9999'"},
    ),
    "entity: empty file": entity("", says="line 1, column 1: malformed JSON"),
    "entity: cut short": entity('[{"question": "Which', says="malformed JSON"),
    "entity: HTML": entity("<html>not found</html>", says="malformed JSON"),
    "entity: an object": entity("{}", says="a JSON list"),
    "entity: an empty list": entity("[]", says="a JSON list"),
    "entity: nested too deeply": entity("[" * 200_000, says="nested too deeply"),
    "entity: Latin-1": entity('[\n{"question": "Zürich"}]'.encode("latin-1"), row=2, says="byte 17: not UTF-8"),
    "entity: row is a text": entity('["x"]', row=1, says="an object"),
    "entity: no question": entity('[{"answers": ["x"]}]', row=1, key="question", says="is missing"),
    "entity: no answers": entity('[{"question": "x"}]', row=1, key="answers", says="is missing"),
    "entity: question of another template": entity(
        '[{"question": "Which country is it located in?", "answers": ["x"]}, {"question": "Who?", "answers": ["x"]}]',
        row=2,
        key="question",
        says="the template 'Which country is {} located in?' of P17",
    ),
    "entity: no subject": entity(
        '[{"question": "Which country is  located in?", "answers": ["x"]}]', row=1, key="question", says="the template"
    ),
    "entity: answers are a text": entity(answered("x"), row=1, key="answers", says="a list of at least one answer"),
    "entity: answers are empty": entity(answered([]), row=1, key="answers", says="a list of at least one answer"),
    "entity: an empty answer": entity(answered(["x", " "]), row=1, key="answers", says="not empty"),
    "entity: a number as answer": entity(answered([3]), row=1, key="answers", says="not empty"),
    "entity: a lone surrogate": entity(answered(["\ud800"]), row=1, key="answers", says="a lone surrogate"),
    "entity: a line break": entity(answered(["a\nb"]), row=1, key="answers", says="a line break"),
    "wikiqa: nothing there": ("wikiqa", {"WikiQA.txt": "x"}, "", {"says": "none of the files"}),
    "wikiqa: no phrase file": ("wikiqa", {"WikiQA-dev.tsv": LABELS}, "", {"says": "has no WikiQASent.pos.ans.tsv"}),
    "wikiqa: empty file": phrases("", row=1, says="the header"),
    "wikiqa: wrong header": phrases(LABELS + label_line(), row=1, says="the columns QuestionID"),
    "wikiqa: header only": phrases(PHRASES, says="no question with an answer phrase"),
    "wikiqa: no phrase at all": phrases(PHRASES + phrase_line(phrases=("", "NO_ANS", "")), says="no question with"),
    "wikiqa: cells missing": phrases(PHRASES + phrase_line() + "Q2\tshort\n", row=3, says="2 cells"),
    "wikiqa: cells too many": phrases(PHRASES + phrase_line(phrases=("a", "b", "c", "d")), row=2, says="10 cells"),
    "wikiqa: empty question": phrases(PHRASES + phrase_line(question=" "), row=2, key="Question", says="not empty"),
    "wikiqa: empty id": phrases(PHRASES + phrase_line(name=""), row=2, key="QuestionID", says="not empty"),
    "wikiqa: another question of the same id": phrases(
        PHRASES + phrase_line() + phrase_line(question="why?"), row=3, key="Question", says="as before"
    ),
    "wikiqa: not UTF-8": phrases(PHRASES.encode() + b"\xff", row=2, says="not UTF-8"),
    "wikiqa: a question in two splits": (
        "wikiqa",
        {
            "WikiQASent.pos.ans.tsv": PHRASES + phrase_line(),
            "WikiQA-train.tsv": LABELS + label_line(),
            "WikiQA-dev.tsv": LABELS + label_line("Q2") + label_line("Q1"),
        },
        "WikiQA-dev.tsv",
        {"row": 3, "key": "QuestionID", "says": "is also in the split 'train'"},
    ),
    "wikiqa: broken split file": (
        "wikiqa",
        {"WikiQASent.pos.ans.tsv": PHRASES + phrase_line(), "WikiQA-dev.tsv": LABELS + "Q1\n"},
        "WikiQA-dev.tsv",
        {"row": 2, "says": "1 cells"},
    ),
    "jsonl: nothing there": ("jsonl", {"train.txt": TRAIN}, "", {"says": "none of the files"}),
    "jsonl: no train": ("jsonl", {"test.jsonl": TRAIN}, "", {"says": "no file of the split 'train', but test.jsonl"}),
    "jsonl: empty train": jsonl("\n \n", says="holds no facts"),
    "jsonl: empty test": ("jsonl", {"train.jsonl": TRAIN, "test.jsonl": ""}, "test.jsonl", {"says": "holds no facts"}),
    "jsonl: malformed row": jsonl(TRAIN + "\n" + TRAIN[:-3], row=3, says="malformed JSON"),
    "jsonl: JSON over several lines": jsonl(json.dumps([{}], indent=1), row=1, says="malformed JSON"),
    "jsonl: a key twice": jsonl('{"question": "q?", "answer": "a", "answer": "b"}', row=1, says="a key occurs twice"),
    "jsonl: a number of 5,000 digits": jsonl(TRAIN + "[" + "1" * 5000 + "]", row=2, says="malformed JSON"),
    "jsonl: a list": jsonl("[1]", row=1, says="an object with question"),
    "jsonl: UTF-16": jsonl(TRAIN.encode("utf-16"), row=1, says="byte 0: not UTF-8"),
    "jsonl: Latin-1 in row 2": jsonl(TRAIN.encode() + b'{"question": "\xfc"}', row=2, says=f"byte {len(TRAIN) + 14}:"),
    "jsonl: no question": jsonl('{"qestion": "q?", "answer": "a"}', row=1, key="question", says="there is 'qestion'"),
    "jsonl: no answer": jsonl(TRAIN + '{"question": "q?"}', row=2, key="answer", says="is missing"),
    "jsonl: two answer keys": jsonl(
        '{"question": "q?", "answer": "a", "answers": ["a"]}', row=1, key="answers", says="has both answer and answers"
    ),
    "jsonl: two relation keys": jsonl(
        '{"question": "q?", "answer": "a", "type": "t", "relation": "r"}', row=1, key="type", says="has both"
    ),
    "jsonl: empty question": jsonl('{"question": "", "answer": "a"}', row=1, key="question", says="not empty"),
    "jsonl: question is null": jsonl('{"question": null, "answer": "a"}', row=1, key="question", says="None"),
    "jsonl: answer is null": jsonl('{"question": "q?", "answer": null}', row=1, key="answer", says="not empty"),
    "jsonl: answer is a truth value": jsonl('{"question": "q?", "answer": true}', row=1, key="answer", says="True"),
    "jsonl: answer is no number": jsonl('{"question": "q?", "answer": NaN}', row=1, key="answer", says="nan"),
    "jsonl: answers are an empty list": jsonl(
        '{"question": "q?", "answers": []}', row=1, key="answers", says="no answer"
    ),
    "jsonl: an empty alias": jsonl(
        '{"question": "q?", "answer": {"value": "a", "aliases": [""]}}', row=1, key="answer", says="not empty"
    ),
    "jsonl: no value": jsonl('{"question": "q?", "answer": {"aliases": ["a"]}}', row=1, key="answer", says="value"),
    "jsonl: aliases are a text": jsonl(
        '{"question": "q?", "answer": {"value": "a", "aliases": "b"}}', row=1, key="answer", says="list of texts"
    ),
    "jsonl: relation is null": jsonl(
        '{"question": "q?", "answer": "a", "relation": null}', row=1, key="relation", says="not empty"
    ),
    "jsonl: subject is a list": jsonl(
        '{"question": "q?", "answer": "a", "subject": ["s"]}', row=1, key="subject", says="not empty"
    ),
    "jsonl: answer with a line break": jsonl('{"question": "q?", "answer": "a\\nb"}', row=1, key="answer", says="line"),
    "jsonl: answer without width": jsonl(
        '{"question": "q?", "answer": "\u200b"}', row=1, key="answer", says="not empty"
    ),
}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize(("reader", "files", "file", "place"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(tmp_path, reader, files, file, place, packed):
    source = write_zip(tmp_path / "raw.zip", files) if packed else write_folder(tmp_path / "raw", files)
    before = listing(tmp_path)
    with pytest.raises(InputError) as caught:
        READERS[reader].read(source, type_from="question_word")
    error = caught.value
    label = f"{source}:{file}" if packed else str(source / file)
    assert error.file == (label if file else str(source))
    assert str(error).startswith(error.file)
    assert (error.row, error.key) == (place.get("row"), place.get("key"))
    assert place["says"] in str(error)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("reader", sorted({*READERS} - {"world"}))
def test_no_source(tmp_path, reader):
    with pytest.raises(InputError, match="no such file or folder") as caught:
        READERS[reader].read(tmp_path / "absent", type_from="one_pool")
    assert caught.value.file == str(tmp_path / "absent")


@pytest.mark.parametrize("type_from", [None, "colour"])
@pytest.mark.parametrize(
    ("reader", "files"),
    [("jsonl", {"train.jsonl": TRAIN}), ("wikiqa", {"WikiQASent.pos.ans.tsv": PHRASES + phrase_line()})],
)
def test_a_type_must_be_declared(tmp_path, reader, files, type_from):
    with pytest.raises(InputError, match="a question without a type") as caught:
        READERS[reader].read(write_folder(tmp_path, files), type_from=type_from)
    assert (Path(caught.value.file).name, caught.value.key) == (next(iter(files)), "relation")


# --- archives ------------------------------------------------------------------------------------------------------


def refused(source, problem):
    before = listing(source.parent.parent)
    with pytest.raises(InputError, match=problem) as caught:
        READERS["jsonl"].read(source, type_from="one_pool")
    assert caught.value.file.startswith(str(source))
    assert listing(source.parent.parent) == before


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "raw.zip"


@pytest.mark.parametrize(
    "name", ["../train.jsonl", "a/../../train.jsonl", "/train.jsonl", "C:/train.jsonl", "..\\train.jsonl"]
)
def test_members_outside_the_archive_are_refused(archive, name):
    refused(write_zip(archive, {"train.jsonl": TRAIN, name: TRAIN}), "unsafe member")


def test_a_symlink_member_is_refused(archive):
    link = zipfile.ZipInfo("test.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(write_zip(archive, [("train.jsonl", TRAIN), (link, "/etc/passwd")]), "'test.jsonl' is a symbolic link")


def test_a_member_that_occurs_twice_is_refused(archive):
    refused(write_zip(archive, [("train.jsonl", TRAIN), ("train.jsonl", TRAIN)]), "holds two members")


def test_an_archive_that_unpacks_to_too_much_is_refused(archive, monkeypatch):
    monkeypatch.setattr(raw, "MAX_ARCHIVE_BYTES", 1 << 20)
    refused(write_zip(archive, {"train.jsonl": TRAIN, "zeros": b"\0" * (1 << 20)}), "at most 1048576")


def test_a_member_larger_than_it_says_is_refused(archive):
    write_zip(archive, {"train.jsonl": TRAIN * 1000})
    size = len(TRAIN * 1000).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(size, (100).to_bytes(4, "little")))
    refused(archive, "train.jsonl: cannot be read")


def test_a_member_that_hides_its_size_does_not_fill_the_memory(archive):
    write_zip(archive, {"train.jsonl": b" " * (1 << 28)})
    size = (1 << 28).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(size, (100).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        refused(archive, "train.jsonl: cannot be read")
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut short"])
def test_what_is_no_archive_is_refused(archive, content):
    archive.write_bytes(content)
    refused(archive, "cannot be read")


def test_a_truncated_archive_is_refused(archive):
    write_zip(archive, {"train.jsonl": TRAIN * 1000})
    archive.write_bytes(archive.read_bytes()[:-30])
    refused(archive, "cannot be read")


def test_a_damaged_member_is_refused(archive):
    write_zip(archive, {"train.jsonl": TRAIN * 1000})
    content = bytearray(archive.read_bytes())
    content[60:70] = b"\xff" * 10
    archive.write_bytes(bytes(content))
    refused(archive, "train.jsonl: cannot be read")


def test_an_encrypted_member_is_refused(archive):
    write_zip(archive, {"train.jsonl": TRAIN})
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    archive.write_bytes(bytes(content))
    refused(archive, "without a password")


def manifest_of(files, path):
    lines = [f"{hashlib.sha256(content.encode()).hexdigest()}  {name}\n" for name, content in files.items()]
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_raw_files_are_checked_against_their_manifest(tmp_path, packed):
    files = entity_files()
    manifest = manifest_of(files, tmp_path / "files.sha256")

    def source(name, files):
        return write_zip(tmp_path / f"{name}.zip", files) if packed else write_folder(tmp_path / name, files)

    def verified(source):
        return raw.verify(source, READERS["entity_questions"].find(source), manifest)

    assert verified(source("whole", files)) == len(files)
    with pytest.raises(InputError, match=r"P19\.dev\.json: its sha256 is"):
        verified(source("changed", entity_files(P19_dev="[]")))
    with pytest.raises(InputError, match=r"has no dataset/dev/P19\.dev\.json"):
        verified(source("cut", entity_files(P19_dev=None)))
    manifest.write_text("abc dataset/dev/P19.dev.json\n")
    with pytest.raises(InputError, match=r"files\.sha256, row 1.*a sha256, two spaces and a file"):
        verified(source("other", files))


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_manifest_names_every_file_that_is_read(tmp_path, kept):
    files = entity_files()
    source = write_folder(tmp_path / "d", files | {"README.json": "not read"})
    manifest = manifest_of(dict([*files.items()][:kept]), tmp_path / "files.sha256")
    with pytest.raises(InputError, match=r"does not name dataset/") as caught:
        raw.verify(source, READERS["entity_questions"].find(source), manifest)
    assert str(caught.value).count("does not name") == len(files) - kept


def test_a_manifest_tells_files_of_the_same_name_by_their_folder(tmp_path):
    files = {f"data/{split}/0000.jsonl": TRAIN.replace("here", split) for split in ("train", "test")}
    source = write_folder(tmp_path / "d", files)
    manifest = manifest_of(files, tmp_path / "files.sha256")
    assert raw.verify(source / "data", READERS["table"].find(source / "data"), manifest) == 2
    (source / "data/train/0000.jsonl").write_text(files["data/test/0000.jsonl"])
    with pytest.raises(InputError, match=r"train/0000\.jsonl: its sha256 is"):
        raw.verify(source, READERS["table"].find(source), manifest)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_manifest_that_cannot_be_read_is_told(tmp_path, content):
    if content:
        (tmp_path / "files.sha256").write_bytes(content)
    with pytest.raises(InputError, match=r"files\.sha256: cannot be read"):
        raw.verify(tmp_path, [], tmp_path / "files.sha256")


def test_entity_questions_is_that_of_the_manifest(real_data):
    manifest = Path(__file__).parents[3] / "studies/entity_questions.sha256"
    source = real_data("entity_questions")
    assert raw.verify(source, READERS["entity_questions"].find(source), manifest) == 72
