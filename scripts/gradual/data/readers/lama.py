"""LAMA (Petroni et al. 2019), T-REx and Google-RE: JSON lines by relation, and relations.jsonl with the templates.

A template such as "[X] was born in [Y] ." makes the question: [X] is the subject, and [Y] is the gap. On the hub, each row
has its template, and a fact has a row for each evidence. Here a fact is one row.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.readers import table
from gradual.data.readers.cloze import GAP, question
from gradual.data.readers.raw import RawFile, Reader, members
from gradual.data.readers.records import as_object, rows_of

TEMPLATES = "relations.jsonl"
FOLDERS = ("TREx", "Google_RE")


def find(source: Path, *, files: table.Patterns | None = None) -> list[RawFile]:
    """The files of rows, and relations.jsonl if it is there."""
    there = members(source)
    templates = [file for file in there if file.path.name == TEMPLATES]
    if not templates or files:
        return [*table.find(source, files=files), *templates]
    return [file for file in there if file.path.parent.name in FOLDERS and file.format == ".jsonl"] + templates


def read(source: Path, *, type_from: str | None, files: table.Patterns | None = None) -> pd.DataFrame:
    """The facts, each once. Raises InputError where a row has no template."""
    found = find(source, files=files)
    listed = [(file, row) for file in found if file.path.name == TEMPLATES for row in rows_of(file)]
    lines = [as_object(row, file, number) for file, (number, row) in listed]
    templates = {line.get("relation"): line.get("template") for line in lines}

    def prepared(row: dict[str, Any]) -> dict[str, Any]:
        relation = str(row.get("predicate_id") or row.get("pred", "")).rpartition("/")[2]
        template = row.get("template") or templates.get(relation)
        if not isinstance(template, str) or "[X]" not in template or "[Y]" not in template:
            raise ValueError(f"there is no template of {relation!r}, in the row or in {TEMPLATES}")
        subject = str(row.get("sub_label", ""))
        asked = question(template.replace("[Y]", GAP).replace("[X]", subject))
        return {"question": asked, "answer": row.get("obj_label"), "relation": relation, "subject": subject}

    rows = [file for file in found if file.path.name != TEMPLATES]
    facts = table.facts_of(rows, table.Layout(prepare=prepared), type_from, {})
    told = facts[["split", "question"]].assign(answer=facts["answers"].str[0])
    return facts[~told.duplicated()].reset_index(drop=True)


READER = Reader(find, read)
