"""Reading the CSV of tables and figures: names stay as they are written, whatever they look like."""

from pathlib import Path

import pandas as pd

from gradual.ground.errors import InputError

# Columns of texts. Without their names, pandas would take a label such as 007 for a number, and NA for none.
TEXTS = (
    *("model", "label", "paper_model", "scoring", "chosen_on", "relation", "name", "type", "stage_name", "reason"),
    *("origin_type", "new_type", "claim", "direction", "control", "verdict", "verdict_against_control", "verdict_rare"),
    *("method", "wording", "facts_of", "epoch", "max_epoch", "run", "panel", "before", "between", "after", "rule"),
    *("kind", "split", "chosen", "domain"),
)


def read_table(file: Path) -> pd.DataFrame:
    """The rows of the CSV of a table or a figure. Raises InputError for a file that cannot be read."""
    try:
        return pd.read_csv(file, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise InputError(file, f"cannot be read ({error})", "a table of this study, as CSV") from error
