"""The paper's tables, one function each, with our numbers beside the paper's."""

from gradual.tables import accuracy, category_counts, origin_categories, transitions
from gradual.tables.spec import TableSpec

TABLES: dict[int, TableSpec] = {
    spec.number: spec
    for spec in (
        origin_categories.SPEC,
        transitions.TRAINING,
        transitions.RETESTED,
        accuracy.SPEC,
        category_counts.SPEC,
    )
}
