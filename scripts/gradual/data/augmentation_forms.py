"""The forms in which a question is augmented. The corpus teaches them, and prompts begin them, so that a model continues.

There are three ways (Guan et al. 2025): a paraphrase of the question (their PA), background on its subject (BKI), and a
chain of reasoning (LCE). The augmented question is the paraphrase itself, or it is the question after the background or the
reasoning.
"""

PARAPHRASE, BACKGROUND, LOGIC = "paraphrase", "background", "logic"
# The documents of each way: their kind, which is also a key of the config's section corpus, and their first line.
KINDS = {"rewrite": PARAPHRASE, "background": BACKGROUND, "reason": LOGIC}
TITLES = {PARAPHRASE: "Rewrite", BACKGROUND: "Background", LOGIC: "Reason"}


def head(way: str, question: str) -> str:
    """The beginning of a document about a question, up to where the paraphrase, the background or the reasoning stands."""
    begin = f"{TITLES[way]}\nQ: {question}\n"
    return f"{begin}Q:" if way == PARAPHRASE else begin


def document(way: str, question: str, written: str, answer: str) -> str:
    """The whole document; `written` is one line. Only a document with reasoning has the answer."""
    space = " " if way == PARAPHRASE else ""
    end = f"A: {answer}\n" if way == LOGIC else ""
    return f"{head(way, question)}{space}{written}\n{end}"


def augmented(way: str, question: str, written: str) -> str:
    """The augmented question, from what was written about a question."""
    return written if way == PARAPHRASE else f"{written} {question}"
