"""The readers of raw datasets: each turns a folder or a .zip archive into the facts table.

One interface: `read(source, *, type_from)`, where `type_from` declares the type of a question whose dataset names none
(`question_word` or `one_pool`). Every reader raises InputError naming the file, the row (the line of a line-based file,
the place in the list of a JSON file, both from 1) and the key that cannot be used.
"""

from collections.abc import Callable

import pandas as pd

from gradual.readers import entity_questions, jsonl, wikiqa

READERS: dict[str, Callable[..., pd.DataFrame]] = {
    "entity_questions": entity_questions.read,
    "wikiqa": wikiqa.read,
    "jsonl": jsonl.read,
}
