"""A generated world: people, works, companies and places of a few countries, and the facts about them.

A country is a community: the surnames, cities, universities, labels, genres and languages of its people tend to be its
own (with probability `coherence`), so that part of a fact can be inferred from other facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradual.data.facts import make_table
from gradual.ground.errors import InputError
from gradual.ground.settings import pick

RESOURCES = ("question_templates.csv",)  # read by the code fingerprint
QUESTIONS = pd.read_csv(Path(__file__).with_name(RESOURCES[0]), index_col="relation")["template"].to_dict()

OCCUPATIONS = "singer poet painter actor lawyer teacher farmer pilot chemist sailor baker doctor".split()
GENRES = "jazz folk rock opera blues swing techno soul punk waltz disco reggae".split()
INDUSTRIES = "steel glass paper cotton coffee ship brick oil salt copper timber tea".split()
GIVEN = (
    "Ada Alma Anna Bela Boris Carl Clara Dora Edgar Elena Emil Erik Fela Felix Greta Hana Hugo Ida Igor Ines Iris "
    "Ivan Jana Jonas Karla Lea Leon Lena Livia Luca Magda Maria Marko Milo Mira Nadia Nils Nina Nora Olga Oscar Otto "
    "Paul Petra Rafa Rita Rosa Ruben Sara Sofia Sven Tara Theo Timo Tilda Vera Viktor Walter Yara Zora"
).split()
ADJECTIVES = (
    "Amber Ancient Autumn Bitter Blue Broken Burning Crystal Dark Distant Empty Endless Evening Frozen Gentle Golden "
    "Green Hidden Hollow Iron Last Lonely Lost Morning Northern Pale Quiet Red Restless Scarlet Secret Silent Silver "
    "Sleeping Summer Velvet Wandering White Winter Yellow"
).split()
NOUNS = (
    "Bells Bird Bridge Candle Castle Clouds Coast Dance Desert Dream Fields Fire Forest Garden Gate Harbor Heart Hills "
    "House Island Lake Letter Lights Mirror Moon Mountain Night Ocean Orchard Rain River Road Rose Shadow Shore Song "
    "Stars Stone Storm Street Tower Train Valley Voice Wind Window"
).split()
ONSETS = "b br d dr f g gr h k kl l m n p pr r s st t tr v z".split()
VOWELS = "a e i o u ai ei ou".split()
CODAS = ["", "l", "n", "r", "s", "m", "k"]
SURNAMES = 12  # per country


def _names(rng: np.random.Generator, count: int, endings: list[str], taken: set[str]) -> list[str]:
    """`count` new capitalised names of two syllables with one of the endings; adds them to `taken`."""
    names: list[str] = []
    while len(names) < count:
        name = "".join(rng.choice(part) for part in (ONSETS, VOWELS, CODAS, ONSETS)) + str(rng.choice(endings))
        name = name.capitalize()
        if name not in taken:
            taken.add(name)
            names.append(name)
    return names


class _Country:
    """A community: its own names, places and tastes."""

    def __init__(self, rng: np.random.Generator, name: str, taken: set[str], sizes: dict[str, int]) -> None:
        endings = [str(v) + str(c) for v, c in zip(rng.choice(VOWELS[:5], 2), rng.choice(CODAS[1:], 2), strict=True)]
        self.name = name
        self.languages = [name[:-2] + "ish"]
        self.surnames = _names(rng, sizes["surnames"], endings, taken)
        self.cities = _names(rng, sizes["cities"], [e + "a" for e in endings], taken)
        self.universities = [f"University of {n}" for n in _names(rng, sizes["universities"], endings, taken)]
        self.labels = [f"{n} Records" for n in _names(rng, sizes["labels"], ["o", "y"], taken)]
        self.genres = list(rng.choice(GENRES, 2, replace=False))
        self.occupations = list(rng.choice(OCCUPATIONS, 3, replace=False))
        self.industries = list(rng.choice(INDUSTRIES, 2, replace=False))


@dataclass(frozen=True)
class WorldSettings:
    """The size of a world: the keys of the config's section world."""

    countries: int
    cities: int
    universities: int
    labels: int
    people: int
    works: int
    companies: int
    coherence: float


def read(world: Mapping[str, Any], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The facts and communities of the world that the config's section world describes; see `build_world`."""
    return build_world(pick(WorldSettings, world), seed)


def build_world(settings: WorldSettings, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The world's facts table (all of split train; splits are carved later) and its communities.

    Returns the facts and a table (subject, community). Raises InputError
    where there are not enough names for the people or works.
    """
    names = {"people": len(GIVEN) * SURNAMES * settings.countries // 2, "works": len(ADJECTIVES) * len(NOUNS)}
    for key, most in names.items():
        if (count := getattr(settings, key)) > most:
            raise InputError("config", f"a world of {count} {key}", f"at most {most}", key=f"world.{key}")
    rng = np.random.default_rng([seed, 1])
    n, coherence = settings.countries, settings.coherence
    taken: set[str] = set()
    sizes = {key: max(1, getattr(settings, key) // n) for key in ("cities", "universities", "labels")} | {
        "surnames": SURNAMES
    }
    countries = [_Country(rng, name, taken, sizes) for name in _names(rng, n, ["ia", "land", "or"], taken)]
    rows: list[dict[str, Any]] = []
    communities: dict[str, str] = {}

    def own(home: int, kind: str) -> str:
        """An attribute of the home country with probability `coherence`, else of any country."""
        country = countries[home if rng.random() < coherence else rng.integers(n)]
        return str(rng.choice(getattr(country, kind)))

    def add(relation: str, subject: str, answer: str) -> None:
        rows.append(
            {
                "split": "train",
                "relation": relation,
                "subject": subject,
                "question": QUESTIONS[relation].format(subject),
                "answers": [answer],
            }
        )

    def unused(draw: Any) -> str:
        while (name := draw()) in communities:
            pass
        return name

    for country in countries:
        for city in country.cities:
            communities[city] = country.name
            add("city_country", city, country.name)
        for university in country.universities:
            communities[university] = country.name
            add("university_city", university, str(rng.choice(country.cities)))

    people, artists = [], []
    for i in range(settings.people):
        home = int(rng.integers(n))
        person = unused(lambda home=home: f"{rng.choice(GIVEN)} {own(home, 'surnames')}")
        communities[person] = countries[home].name
        people.append((person, home))
        birthplace = own(home, "cities")
        add("birthplace", person, birthplace)
        add("citizenship", person, communities[birthplace] if rng.random() < coherence else countries[home].name)
        add("occupation", person, own(home, "occupations"))
        add("education", person, own(home, "universities"))
        if i % 2 == 0:
            artists.append((person, home))
            add("artist_genre", person, own(home, "genres"))
            add("artist_label", person, own(home, "labels"))
    by_home = sorted(people, key=lambda person: person[1])  # couples mostly share their country
    couples = list(zip(by_home[::2], by_home[1::2], strict=False))
    # One question per couple: the reverse would give a test fact away.
    for number in sorted(rng.permutation(len(couples))[: len(people) // 4].tolist()):
        (one, _), (other, _) = couples[number]
        add("spouse", one, other)

    titles = [f"The {adjective} {noun}" for adjective, noun in product(ADJECTIVES, NOUNS)]
    for title in rng.permutation(titles)[: settings.works]:
        artist, home = artists[int(rng.integers(len(artists)))]
        communities[str(title)] = countries[home].name
        add("performer", str(title), artist)
        add("work_genre", str(title), own(home, "genres"))
        add("work_label", str(title), own(home, "labels"))
        add("language", str(title), own(home, "languages"))
    for name in _names(rng, settings.companies, ["ex", "um"], taken):
        home = int(rng.integers(n))
        locals_ = [person for person in people if person[1] == home] or people
        founders = locals_ if rng.random() < coherence else people
        founder = founders[int(rng.integers(len(founders)))][0]
        communities[name] = countries[home].name
        add("headquarters", name, own(home, "cities"))
        add("founder", name, founder)
        add("industry", name, own(home, "industries"))
    table = pd.DataFrame(sorted(communities.items()), columns=["subject", "community"])
    return make_table(rows), table
