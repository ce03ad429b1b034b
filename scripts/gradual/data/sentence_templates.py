"""The sentences in which a document states a fact: templates by relation, for the generated world and EntityQuestions."""

STATEMENTS: dict[str, tuple[str, ...]] = {
    # the generated world
    "birthplace": (
        "{s} was born in {a}.",
        "{s} comes from {a}.",
        "The birthplace of {s} is {a}.",
        "{s}, a native of {a}.",
    ),
    "citizenship": (
        "{s} is a citizen of {a}.",
        "{s} holds a passport of {a}.",
        "The country of {s} is {a}.",
        "{s}, citizen of {a}.",
    ),
    "occupation": (
        "{s} works as a {a}.",
        "{s} is a {a}.",
        "The occupation of {s} is {a}.",
        "{s} earns a living as a {a}.",
    ),
    "education": (
        "{s} studied at the {a}.",
        "{s} was educated at the {a}.",
        "{s} went to the {a}.",
        "{s} left the {a}.",
    ),
    "spouse": ("{s} is married to {a}.", "{s} married {a}.", "The spouse of {s} is {a}.", "{s} lives with {a}."),
    "artist_genre": ("{s} is known for {a}.", "{s} plays {a}.", "The genre of {s} is {a}.", "{s}, a star of {a}."),
    "artist_label": ("{s} is signed to {a}.", "{s} records for {a}.", "The label of {s} is {a}.", "{s} joined {a}."),
    "performer": ("{s} was performed by {a}.", "{s} is by {a}.", "The performer of {s} is {a}.", "{s}, sung by {a}."),
    "work_genre": ("{s} is a piece of {a}.", "{s} is {a}.", "The genre of {s} is {a}.", "{s}, a classic of {a}."),
    "work_label": ("{s} was released by {a}.", "{s} came out on {a}.", "The label of {s} is {a}.", "{s}, sold by {a}."),
    "language": ("{s} is in {a}.", "{s} was written in {a}.", "The language of {s} is {a}.", "{s}, sung in {a}."),
    "headquarters": ("{s} is based in {a}.", "{s} has its seat in {a}.", "The home of {s} is {a}.", "{s} of {a}."),
    "founder": (
        "{s} was founded by {a}.",
        "{s} was started by {a}.",
        "The founder of {s} is {a}.",
        "{s}, set up by {a}.",
    ),
    "industry": ("{s} makes {a}.", "{s} deals in {a}.", "The industry of {s} is {a}.", "{s}, a trader of {a}."),
    "city_country": ("{s} is a city in {a}.", "{s} lies in {a}.", "The country of {s} is {a}.", "{s} belongs to {a}."),
    "university_city": ("The {s} is in {a}.", "The {s} stands in {a}.", "The seat of the {s} is {a}.", "The {s}, {a}."),
    # EntityQuestions, by Wikidata property
    "P17": ("{s} is located in the country of {a}.", "{s} lies in {a}.", "The country of {s} is {a}."),
    "P19": ("{s} was born in {a}.", "{s} comes from {a}.", "The birthplace of {s} is {a}."),
    "P20": ("{s} died in {a}.", "{s} passed away in {a}.", "The place of death of {s} is {a}."),
    "P26": ("{s} is married to {a}.", "{s} married {a}.", "The spouse of {s} is {a}."),
    "P36": ("The capital of {s} is {a}.", "{s} has its capital at {a}.", "{s} is governed from {a}."),
    "P40": ("{s} is a parent of {a}.", "The child of {s} is {a}.", "{s} raised {a}."),
    "P50": ("{s} was written by {a}.", "The author of {s} is {a}.", "{s} is a book by {a}."),
    "P69": ("{s} was educated at {a}.", "{s} studied at {a}.", "{s} attended {a}."),
    "P106": ("{s} works as a {a}.", "The occupation of {s} is {a}.", "{s} is known as a {a}."),
    "P112": ("{s} was founded by {a}.", "The founder of {s} is {a}.", "{s} was set up by {a}."),
    "P127": ("{s} is owned by {a}.", "The owner of {s} is {a}.", "{s} belongs to {a}."),
    "P131": ("{s} is located in {a}.", "{s} is part of {a}.", "{s} lies within {a}."),
    "P136": ("{s} plays {a}.", "The genre of {s} is {a}.", "{s} is known for {a}."),
    "P159": ("{s} has its headquarters in {a}.", "{s} is based in {a}.", "The seat of {s} is {a}."),
    "P170": ("{s} was created by {a}.", "The creator of {s} is {a}.", "{s} is a creation of {a}."),
    "P175": ("{s} was performed by {a}.", "The performer of {s} is {a}.", "{s} is by {a}."),
    "P176": ("{s} is produced by {a}.", "The maker of {s} is {a}.", "{s} is built by {a}."),
    "P264": ("{s} is represented by {a}.", "{s} records for {a}.", "The label of {s} is {a}."),
    "P276": ("{s} is located in {a}.", "{s} takes place in {a}.", "The location of {s} is {a}."),
    "P407": ("{s} was written in {a}.", "The language of {s} is {a}.", "{s} is in {a}."),
    "P413": ("{s} plays as {a}.", "The position of {s} is {a}.", "{s} is on the field as {a}."),
    "P495": ("{s} was created in {a}.", "{s} comes from {a}.", "The country of origin of {s} is {a}."),
    "P740": ("{s} was founded in {a}.", "{s} was formed in {a}.", "The place where {s} was formed is {a}."),
    "P800": ("{s} is famous for {a}.", "{s} is best known for {a}.", "The notable work of {s} is {a}."),
}
FALLBACK = ("{q} The answer is {a}.", "{q} It is {a}.", "{q} {a}.")


def state(relation: str, subject: str, question: str, answer: str, paraphrase: int) -> str:
    """The sentence that states a fact. A fact of unknown relation or subject is stated with its question."""
    templates = STATEMENTS.get(relation, FALLBACK) if subject else FALLBACK
    return templates[paraphrase % len(templates)].format(s=subject, a=answer, q=question)
