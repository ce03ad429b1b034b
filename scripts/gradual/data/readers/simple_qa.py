"""SimpleQA (Wei et al. 2024): CSV with metadata, problem and answer. The relation is the topic in the metadata."""

from gradual.data.readers.table import Layout, reader

READER = reader(Layout(columns={"question": (("problem",),), "relation": (("metadata.topic",), ("topic",))}))
