"""TriviaQA (Joshi et al. 2017): an object with the list Data, or the hub's Parquet, whose names are in small letters.

The first answer is the value, and the others are its aliases. The test questions have no answers, so they are not read.
"""

from gradual.data.readers.table import Layout, reader

READER = reader(
    Layout(
        columns={
            "question": (("Question",), ("question",)),
            "answers": (("Answer.Value", "Answer.Aliases"), ("answer.value", "answer.aliases")),
        },
        skipped="test",
    )
)
