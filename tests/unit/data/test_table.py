"""The reader of tables and the layouts of known datasets, on small files of our own making in their documented layouts."""

import bz2
import gzip
import io
import json
import lzma
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from pyarrow import ipc

from gradual.data.dataset import READERS, build_dataset, find_files, raw_source
from gradual.data.readers import records
from gradual.data.readers.wikiqa import PHRASE_COLUMNS, SENTENCE_COLUMNS
from gradual.ground.errors import InputError
from gradual.study.config import load_config

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
RECIPES = [yaml.safe_load(block)["dataset"] for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)]
N = 40


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows):
    buffer = io.BytesIO()
    pd.DataFrame(rows).to_parquet(buffer)
    return buffer.getvalue()


def separated(rows, **options):
    return pd.DataFrame(rows).to_csv(index=False, **options).encode()


def numbered(make, start=0):
    return [make(i) for i in range(start, start + N)]


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def read(path, reader="table", **options):
    return READERS[reader].read(path, type_from="one_pool", **options)


def one(tmp_path, name, content, **options):
    """The only fact of a file."""
    [fact] = read(write(tmp_path, {name: content}) / name, **options).to_dict("records")
    return fact


# --- known datasets, as their documentation says that they are -------------------------------------------------------


def nq_open(i):
    return {"question": f"who was number {i}", "answer": [f"Name {i}", f"Nom {i}"][: 2 - i % 2]}


def trivia_qa(i):
    answer = {
        "Value": f"Name {i}",
        "Aliases": [f"Name {i}", f"Nom {i}"][: 2 - i % 2],
        "NormalizedAliases": [f"name {i}", f"nom {i}"],
    }
    answer |= {"MatchedWikiEntityName": "", "NormalizedValue": f"name {i}", "Type": "WikipediaEntity"}
    return {"Answer": answer, "EntityPages": [], "Question": f"Who was number {i}?", "QuestionId": f"tc_{i}"}


def popqa(i):
    return {
        "id": i,
        "subj": f"Person {i}",
        "prop": "occupation",
        "obj": "politician",
        "s_pop": 142,
        "question": f"What is Person {i}'s occupation?",
        "possible_answers": json.dumps(["politician", 'so-called "politico"'][: 2 - i % 2]),
    }


def web_questions(i):
    target = f'(list (description "Name {i}"){"" if i % 2 else f" (description Nom{i})"})'
    return {"url": f"http://www.freebase.com/view/en/{i}", "targetValue": target, "utterance": f"who was number {i}?"}


def simple_qa(i):
    metadata = {"topic": "Science and technology", "answer_type": "Person", "urls": ["https://example.org/it's"]}
    return {"metadata": str(metadata), "problem": f"Who was number {i}?", "answer": f"Name {i}"}


def counterfact(i):
    target = {"str": "French", "id": "Q150"}
    rewrite = {"prompt": "The mother tongue of {} is", "relation_id": "P103", "target_true": target}
    rewrite |= {"target_new": {"str": "English", "id": "Q1860"}, "subject": f"Person {i}"}
    return {"case_id": i, "pararel_idx": 2796 + i, "requested_rewrite": rewrite, "paraphrase_prompts": []}


def t_rex(i):
    labels = {"sub_uri": f"Q{i}", "sub_label": f"Person {i}", "obj_uri": "Q90", "obj_label": "Paris"}
    return {"uuid": str(i), "predicate_id": "P19", **labels, "evidences": [{"masked_sentence": "born in [MASK]"}]}


TEMPLATES = [
    {"relation": "P19", "template": "[X] was born in [Y] .", "label": "place of birth", "type": "N-1"},
    {"relation": "P1001", "template": "[Y] is a legal term in [X] .", "label": "applies to", "type": "N-M"},
]
SHARED = {"relation": "who", "subject": ""}
# The files of each dataset below its path in docs/datasets.md, and what is read as a fact of train.
KNOWN = {
    "nq_open": (
        {"data/NQ-open.train.jsonl": lines(numbered(nq_open))},
        SHARED | {"question": "who was number 0", "answers": ["Name 0", "Nom 0"]},
    ),
    "trivia_qa": (
        {
            "data/unfiltered-web-train.json": json.dumps(
                {"Data": numbered(trivia_qa), "Domain": "w", "Version": 1.0}, indent=1
            )
        },
        SHARED | {"question": "Who was number 0?", "answers": ["Name 0", "Nom 0"]},
    ),
    "popqa": (
        {"data/popqa/test.tsv": separated(numbered(popqa), sep="\t")},
        {"relation": "occupation", "subject": "Person 0", "question": "What is Person 0's occupation?"}
        | {"answers": ["politician", 'so-called "politico"']},
    ),
    "web_questions": (
        {
            f"data/webquestions/webquestions.examples.{split}.json": json.dumps(numbered(web_questions, start))
            for split, start in (("train", 0), ("test", N))
        },
        SHARED | {"question": "who was number 0?", "answers": ["Name 0", "Nom0"]},
    ),
    "simple_qa": (
        {"data/simple_qa_test_set.csv": separated(numbered(simple_qa))},
        {"relation": "Science and technology", "subject": "", "question": "Who was number 0?", "answers": ["Name 0"]},
    ),
    "counterfact": (
        {"data/counterfact.json": json.dumps(numbered(counterfact), indent=2)},
        {"relation": "P103", "subject": "Person 0", "answers": ["French"]}
        | {"question": "Fill in the blank: The mother tongue of Person 0 is ___."},
    ),
    "lama": (
        {"data/LAMA/relations.jsonl": lines(TEMPLATES), "data/LAMA/TREx/P19.jsonl": lines(numbered(t_rex))},
        {"relation": "P19", "subject": "Person 0", "answers": ["Paris"]}
        | {"question": "Fill in the blank: Person 0 was born in ___."},
    ),
}


def quiz(i, part):
    return {
        "text": f"What {i}?",
        "gold": {"value": i, "aliases": [f"no. {i}"][i % 2 :]},
        "category": "numbers",
        "part": part,
    }


# The other recipes of docs/datasets.md, by path.
OWN = {
    "data/mine.csv": {"data/mine.csv": separated([{"question": f"{i}?", "answer": i} for i in range(N)])},
    "data/quiz.parquet": {
        "data/quiz.parquet": parquet([quiz(i, ("train", "validation", "test")[i % 3]) for i in range(N)])
    },
    "data/quiz": {
        f"data/quiz/{name}": packed(lines([{"question": f"{name} {i}?", "answer": "a"} for i in range(5)]))
        for name, packed in {
            "learn-1.jsonl.gz": gzip.compress,
            "learn-2.jsonl.gz": gzip.compress,
            "check.jsonl": bytes,
            "exam-a.jsonl": bytes,
            "exam-b.jsonl": bytes,
        }.items()
    },
}


def of_study(dataset):
    """The dataset section of a study as docs/datasets.md shows it, with its defaults."""
    overrides = {"study": "mine", "extends": "gradual_learning", "dataset": dataset}
    return load_config(overrides, ROOT / "config.yaml", ROOT / "schemas/config.schema.json")["dataset"]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.get("path", recipe.get("url")))
def test_the_recipes_of_the_documentation(tmp_path, monkeypatch, recipe):
    monkeypatch.chdir(tmp_path)
    dataset = of_study(recipe)
    if "url" in recipe:
        [name] = KNOWN["popqa"][0]
        write(tmp_path, {raw_source(dataset): KNOWN["popqa"][0][name]})
    else:
        write(tmp_path, KNOWN[recipe["reader"]][0] if recipe["reader"] in KNOWN else OWN[recipe["path"]])
    made = build_dataset(dataset, {}, raw_source(dataset), {}, 0)
    assert {"train", "dev", "test"} == set(made.facts["split"])
    if recipe["reader"] in KNOWN:
        made = build_dataset(dataset | {"single_answer": []}, {}, raw_source(dataset), {}, 0)
        rows = made.facts.drop(columns=["fact_id", "split"]).to_dict("records")
        assert KNOWN[recipe["reader"]][1] in rows
    assert {file.origin for file in find_files(dataset, raw_source(dataset))} <= set(Path().rglob("*"))


def test_a_split_whose_facts_all_have_several_answers_is_told(tmp_path):
    rows = [{"question": f"who {i}?", "answer": ["a", "b"]} for i in range(9)]
    write(tmp_path, {"train.jsonl": lines(rows), "dev.jsonl": lines(rows), "test.jsonl": lines(rows)})
    with pytest.raises(InputError, match="all facts of split 'train' were left out.*single_answer"):
        build_dataset(of_study({"reader": "table", "path": str(tmp_path)}), {}, tmp_path, {}, 0)


def test_every_known_dataset_has_a_recipe():
    own = {"world", "entity_questions", "wikiqa", "jsonl"}  # the studies show theirs
    assert {recipe["reader"] for recipe in RECIPES} == {*READERS} - own == {*KNOWN, "table"}


HUB = {
    "nq_open": (parquet(numbered(nq_open)), ["Name 0", "Nom 0"]),
    "trivia_qa": (
        parquet(
            [
                {"question": row["Question"], "answer": {k.lower(): v for k, v in row["Answer"].items()}}
                for row in numbered(trivia_qa)
            ]
        ),
        ["Name 0", "Nom 0"],
    ),
    "popqa": (parquet(numbered(popqa)), ["politician", 'so-called "politico"']),
    "web_questions": (
        parquet([{"url": "u", "question": f"who {i}?", "answers": [f"Name {i}"]} for i in range(N)]),
        ["Name 0"],
    ),
    "simple_qa": (parquet(numbered(simple_qa)), ["Name 0"]),
    "counterfact": (parquet(numbered(counterfact)), ["French"]),
    "lama": (
        parquet([row | {"template": TEMPLATES[0]["template"]} for row in [t_rex(0), *numbered(t_rex)]]),
        ["Paris"],
    ),
}


@pytest.mark.parametrize("reader", HUB)
def test_the_parquet_of_the_hub(tmp_path, reader):
    content, answers = HUB[reader]
    files = {f"data/{split}-00000-of-00001.parquet": content for split in ("train", "validation")}
    facts = read(write(tmp_path, files), reader)
    assert facts["split"].value_counts().to_dict() == {"train": N, "dev": N}  # each fact of LAMA once
    assert answers in facts["answers"].tolist()


def test_the_test_questions_of_trivia_qa_are_not_read(tmp_path):
    unknown = {"question": "q?", "answer": {"value": "<unk>", "aliases": []}}
    files = {"train/0000.parquet": HUB["trivia_qa"][0], "test/0000.parquet": parquet([unknown])}
    assert set(read(write(tmp_path, files), "trivia_qa")["split"]) == {"train"}


@pytest.mark.parametrize(
    ("reader", "row", "says"),
    [
        ("web_questions", web_questions(0) | {"targetValue": "(list (description x)"}, "targetValue is"),
        ("web_questions", web_questions(0) | {"targetValue": "(list )"}, "no answer"),
        ("counterfact", {"requested_rewrite": {"prompt": "no gap", "subject": "s"}}, "requested_rewrite lacks"),
        ("counterfact", {"case_id": 1}, "requested_rewrite lacks"),
        ("lama", t_rex(0), "no template of 'P19'"),
        ("simple_qa", {"metadata": "{}", "problem": "", "answer": "a"}, "not empty"),
        ("trivia_qa", {"Question": "q?", "Answer": {"Value": None, "Aliases": ["a"]}}, "not empty"),
    ],
)
def test_rows_that_are_not_as_the_layout_says(tmp_path, reader, row, says):
    write(tmp_path, {"rows.jsonl": lines([row, row, row])})
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        read(tmp_path / "rows.jsonl", reader)
    assert (caught.value.row, caught.value.file) == (1, str(tmp_path / "rows.jsonl"))


# --- formats -------------------------------------------------------------------------------------------------------

ROWS = [{"question": "Wer war's?", "answer": "Zoë", "type": "who"}, {"question": "wann?", "answer": "NA", "type": "t"}]


def arrow(rows, open_sink):
    table, sink = pa.Table.from_pylist(rows), io.BytesIO()
    with open_sink(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


FORMATS = {
    "a.csv": separated(ROWS),
    "excel.csv": separated(ROWS, sep=";", lineterminator="\r\n", encoding="utf-8-sig"),
    "bom.csv": b"\xef\xbb\xbf" + separated(ROWS),
    "a.tsv": separated(ROWS, sep="\t"),
    "crlf.tsv": separated(ROWS, sep="\t", lineterminator="\r\n"),
    "a.parquet": parquet(ROWS),
    "stream.arrow": arrow(ROWS, ipc.new_stream),
    "file.arrow": arrow(ROWS, ipc.new_file),
    "list.json": json.dumps(ROWS),
    "nested.json": json.dumps({"version": 1, "data": ROWS, "tags": ["a"]}, indent=2),
    "lines.json": lines(ROWS),
    "a.jsonl": lines(ROWS),
    "bom.jsonl": b"\xef\xbb\xbf" + lines(ROWS),
    "a.ndjson": lines(ROWS),
    "a.csv.gz": gzip.compress(separated(ROWS)),
    "a.tsv.bz2": bz2.compress(separated(ROWS, sep="\t")),
    "a.json.xz": lzma.compress(json.dumps(ROWS).encode()),
    "a.jsonl.zst": pa.compress(lines(ROWS), "zstd", asbytes=True),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_facts(tmp_path, name):
    facts = read(write(tmp_path, {name: FORMATS[name]}) / name)
    pd.testing.assert_frame_equal(facts, read(write(tmp_path, {"x.jsonl": lines(ROWS)}) / "x.jsonl"))
    assert sorted(facts["answers"].sum()) == ["NA", "Zoë"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("end", [0, -6])
def test_a_broken_file_is_told(tmp_path, name, end):
    content = FORMATS[name] if isinstance(FORMATS[name], bytes) else FORMATS[name].encode()
    write(tmp_path, {name: content[:end]})
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('question\tanswer\n"who" said "it"?\tme\n', '"who" said "it"?'),
        ('question\tanswer\n5" or 6"?\tme\n', '5" or 6"?'),
        ('question\tanswer\n"a ""b"" c?"\tme\n', 'a "b" c?'),
        ('question\tanswer\n"in two\nlines?"\tme\n', "in two lines?"),
        ('question\tanswer\n"opens?\tme\n', '"opens?'),
    ],
)
def test_quotes_in_tsv(tmp_path, text, answer):
    assert one(tmp_path, "a.tsv", text)["question"] == answer


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gradual.data.readers.raw.MAX_ARCHIVE_BYTES", 1 << 16)
    with pytest.raises(InputError, match="unpacks to too much"):
        one(tmp_path, "a.jsonl.gz", gzip.compress(b" " * (1 << 20)))


# --- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "read_as"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("['a', 'b']", ["a", "b"]),
        ("['it\\'s', \"b\"]", ["it's", "b"]),
        (' ["a"] ', ["a"]),
        ('{"value": "a", "aliases": ["b", "a"]}', ["a", "b"]),
        ([["a"], ["b", "a"]], ["a", "b"]),
        ({"value": "a", "aliases": ['["b"]']}, ["a", "b"]),
        ("[sic]", ["[sic]"]),
        ("[Fe(CN)6]", ["[Fe(CN)6]"]),
        ("{x}", ["{x}"]),
        (["a", "A", "a\u200b", "a\xa0b", "a b", "e\u0301", "é"], ["a", "A", "a\xa0b", "e\u0301"]),
        (1984, ["1984"]),
        (1984.0, ["1984"]),
        (0.5, ["0.5"]),
        (1e300, ["1e+300"]),
        ([1, 2.0], ["1", "2"]),
    ],
)
def test_answers(tmp_path, answer, read_as):
    assert one(tmp_path, "a.jsonl", lines([{"question": "q?", "answer": answer}]))["answers"] == read_as


@pytest.mark.parametrize("answer", ["['a' 'b']", '["a", "b"', "['a'\n 'b']", "array(['a'], dtype=object)", '["a" "b"]'])
def test_what_only_looks_like_a_list_is_not_one_answer(tmp_path, answer):
    with pytest.raises(InputError, match="is a list"):
        one(tmp_path, "a.jsonl", lines([{"question": "q?", "answer": answer}]))


@pytest.mark.parametrize(
    "answer", [None, "", " ", "\u200b", [], [None], ["a", None], True, float("nan"), float("inf"), {}]
)
@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_what_is_no_answer(tmp_path, answer, format):
    rows = [{"question": "q?", "answer": answer}]
    content = lines(rows) if format == "jsonl" else arrow(rows, ipc.new_stream) if answer != {} else parquet(rows[:0])
    with pytest.raises(InputError):
        one(tmp_path, "a.jsonl" if format == "jsonl" else "a.arrow", content)


def test_numbers_of_a_column_with_gaps(tmp_path):
    rows = {"question": ["a?", "b?", "c?"], "year": [1984, None, 2001], "name": ["x", "y", "z"]}
    (tmp_path / "a.parquet").write_bytes(parquet(rows))  # pandas makes numbers with gaps floats
    facts = read(tmp_path / "a.parquet", columns={"answers": ["name", "year"]})
    assert sorted(facts["answers"].map(tuple)) == [("x", "1984"), ("y",), ("z", "2001")]
    with pytest.raises(InputError, match=r"row 2, key 'year'"):
        read(tmp_path / "a.parquet", columns={"answers": "year"})


@pytest.mark.parametrize(
    ("row", "path", "value"),
    [
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a.b": 2, "a": {"b": 1}}, "a.b", 2),
        ({"a": "{'b': 1}"}, "a.b", 1),
        ({"a": '{"b": [1]}'}, "a.b", [1]),
        ({"a": [{"b": 1}, {"b": 2}, {}]}, "a.b", [1, 2]),
        ({"a": {"b": {"c": {"d": 1}}}}, "a.b.c.d", 1),
        ({"a": "text"}, "a.b", records.MISSING),
        ({"a": None}, "a.b", records.MISSING),
        ({"a": {}}, "a.b", records.MISSING),
        ({}, "a", records.MISSING),
    ],
)
def test_paths_into_a_row(row, path, value):
    assert records.value_at(row, path) == value


@pytest.mark.parametrize(
    ("word", "split"),
    [("validation", "dev"), ("VAL", "dev"), ("training", "train"), ("support", "support"), (" test ", "test")],
)
def test_the_split_of_a_row(tmp_path, word, split):
    row = {"question": "q?", "answer": "a", "split": word, "part": word}
    assert one(tmp_path, "a.csv", separated([row]))["split"] == split
    assert one(tmp_path, "b.csv", separated([row]), columns={"split": "part"})["split"] == split


def test_a_column_that_is_missing_is_told_once_with_the_nearest(tmp_path):
    write(tmp_path, {"a.csv": separated([{"Question": f"{i}?", "answer": "a"} for i in range(99)])})
    with pytest.raises(
        InputError, match=r"is missing \(there is 'Question'\) in every row.*dataset.columns.question"
    ) as caught:
        read(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"'Qestion'.*there is 'Question'"):
        read(tmp_path / "a.csv", columns={"question": "Qestion"})


def test_two_columns_of_a_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="two columns 'answer'"):
        one(tmp_path, "a.csv", "question,answer,answer\nq?,a,b\n")


# --- all rows at fault ---------------------------------------------------------------------------------------------


def bad_rows(reader):
    """A file of 60 rows, of which every second has an empty question."""
    questions = ["" if i % 2 else f"Which country is {i} located in?" for i in range(60)]
    if reader == "entity_questions":
        good = json.dumps([{"question": "Which country is x located in?", "answers": ["a"]}])
        rows = json.dumps([{"question": question, "answers": ["a"]} for question in questions])
        return {"P17.train.json": rows, "P17.dev.json": good, "P17.test.json": good}
    if reader == "wikiqa":
        head = "\t".join([*SENTENCE_COLUMNS, *PHRASE_COLUMNS]) + "\n"
        rows = [f"Q{i}\t{question}\tD\tT\tS\tsentence\ta\t\t\n" for i, question in enumerate(questions)]
        return {"WikiQASent.pos.ans.tsv": head + "".join(rows)}
    return {"train.jsonl": lines([{"question": question, "answer": "a"} for question in questions])}


@pytest.mark.parametrize("reader", ["entity_questions", "wikiqa", "table"])
def test_an_error_names_twenty_rows_at_fault(tmp_path, reader):
    with pytest.raises(InputError) as caught:
        read(write(tmp_path, bad_rows(reader)), reader)
    first = {"wikiqa": 3}.get(reader, 2)
    named = [int(row) for row in re.findall(r"row (\d+), key", str(caught.value))]
    assert named == [first + 2 * i for i in range(20)]
    assert str(caught.value).endswith("and 10 more")
    assert caught.value.row == first


# --- which files ---------------------------------------------------------------------------------------------------

GOOD = lines(ROWS)


def names_of(source, **options):
    return {str(file.path): file.split for file in READERS["table"].find(source, **options)}


def test_shards_and_folders_of_splits(tmp_path):
    names = {"train-00000-of-00002.jsonl": "train", "train-00001-of-00002.jsonl": "train", "val/0000.jsonl": "dev"}
    names |= {"val/0001.jsonl": "dev", "deep/er/test/x.jsonl": "test"}
    others = {"README.md": "x", "dataset_info.json": "{}", ".cache/train.jsonl": "x", "__MACOSX/._train.jsonl": "x"}
    others |= {"train/state.json": "{}", "notes.csv": "x", "trainer.csv": "x"}
    assert names_of(write(tmp_path, dict.fromkeys(names, GOOD) | others)) == names


@pytest.mark.parametrize(
    ("names", "options", "says"),
    [
        (["a.csv", "b.csv"], {}, "several files that may be train: a.csv, b.csv"),
        (["train.csv", "train.jsonl"], {}, "several files that may be train"),
        (["web-train.json", "wikipedia-train.json"], {}, "several files that may be train"),
        (["train-00000-of-00003.jsonl", "train-00002-of-00003.jsonl"], {}, "lacks shards of train: 00001"),
        (["dev.jsonl", "test.jsonl"], {}, "no file of the split 'train', but dev.jsonl, test.jsonl"),
        (["notes.txt"], {}, "holds none of the files"),
        (["learn.jsonl"], {"files": {"train": "lern.jsonl"}}, "such as learn.jsonl"),
        (["a.jsonl"], {"files": {"train": "a.jsonl", "test": "*.jsonl"}}, "a.jsonl is of two splits"),
    ],
)
def test_files_that_are_not_clear_are_told(tmp_path, names, options, says):
    with pytest.raises(InputError, match=re.escape(says)):
        names_of(write(tmp_path, dict.fromkeys(names, GOOD)), **options)


def test_linked_folders_are_found(tmp_path):
    write(tmp_path / "far", {"train.jsonl": GOOD, "test.jsonl": GOOD})
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "linked").symlink_to(tmp_path / "far")
    assert names_of(tmp_path / "near") == {"linked/test.jsonl": "test", "linked/train.jsonl": "train"}
