"""PopQA (Mallen et al. 2023): rows with subj, prop, question and possible_answers, a JSON list in a text."""

from gradual.data.readers.table import Layout, reader

READER = reader(
    Layout(columns={"answers": (("possible_answers",),), "relation": (("prop",),), "subject": (("subj",),)})
)
