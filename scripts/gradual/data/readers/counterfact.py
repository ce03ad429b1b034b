"""CounterFact (Meng et al. 2022): each row has a requested_rewrite with a prompt, its subject and its true target.

The prompt ends where the answer begins, as in "The mother tongue of {} is". So the question is the prompt, and then a gap.
"""

from typing import Any

from gradual.data.readers.cloze import GAP, question
from gradual.data.readers.records import MISSING, value_at
from gradual.data.readers.table import Layout, reader


def _prepared(row: dict[str, Any]) -> dict[str, Any]:
    paths = ("prompt", "subject", "target_true.str", "relation_id")
    prompt, subject, answer, relation = (value_at(row, f"requested_rewrite.{path}") for path in paths)
    if (
        not isinstance(prompt, str)
        or "{}" not in prompt
        or not isinstance(subject, str)
        or MISSING in (answer, relation)
    ):
        raise ValueError("requested_rewrite lacks prompt (with {}), subject, target_true.str or relation_id")
    asked = question(f"{prompt.replace('{}', subject)} {GAP}")
    return {"question": asked, "answer": answer, "relation": relation, "subject": subject}


READER = reader(Layout(prepare=_prepared))
