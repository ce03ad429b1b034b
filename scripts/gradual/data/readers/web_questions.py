"""WebQuestions (Berant et al. 2013): rows with utterance and targetValue; on the hub, with question and answers."""

import re
from typing import Any

from gradual.data.readers.table import Layout, reader

DESCRIPTION = re.compile(r'\(description (?:"((?:[^"\\]|\\.)*)"|([^()"]+))\)')


def _prepared(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the answers of its targetValue, such as (list (description "Bern") (description Basel))."""
    if "targetValue" not in row:
        return row
    target = str(row["targetValue"])
    if not re.fullmatch(r"\(list(\s*" + DESCRIPTION.pattern + r")*\s*\)", target):
        raise ValueError(f"targetValue is {target!r}")
    found = [re.sub(r"\\(.)", r"\1", quoted) or plain for quoted, plain in DESCRIPTION.findall(target)]
    return {"question": row.get("utterance"), "answers": found}


READER = reader(Layout(prepare=_prepared))
