"""Join the tables of a study to one Markdown file, in the order given."""

import argparse
import json
from pathlib import Path

from gradual.errors import InputError, report
from gradual.files import write_text
from gradual.tables.spec import Model, models_of


def heading(study: str, models: tuple[Model, ...], seeds: list[int]) -> str:
    """Which study, models and seeds the tables are about."""
    lines = [f"- {model.label}" + (f", compared with {model.paper}" if model.paper else "") for model in models]
    names = ", ".join(map(str, seeds))
    return (
        f"# Tables of the study `{study}`\n\nModels:\n\n" + "\n".join(lines) + f"\n\nSeeds: {names}\n\n"
        "Captions and the columns named Paper are those of Li et al. 2024 (arXiv 2410.05802); the rest is ours.\n"
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="the Markdown of each table")
    parser.add_argument("--study", required=True)
    parser.add_argument("--models", type=json.loads, required=True, help="label and paper's model of each, as JSON")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    parts = [heading(args.study, models_of(args.models), args.seeds)]
    for path in args.tables:
        text = path.read_text(encoding="utf-8")
        if not text.startswith("**Table "):
            raise InputError(path, "is no table", "Markdown that begins with **Table N: …")
        parts.append(text)
    write_text("\n".join(parts), args.output)


if __name__ == "__main__":
    report(main)
