"""Join the Markdown of a study's tables to one file, in the order given."""

import argparse
from pathlib import Path

from gradual.ground.errors import InputError, report
from gradual.ground.files import read_json, write_text
from gradual.probe.agreement import sentence


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="the Markdown of each table")
    parser.add_argument("--agreements", type=Path, nargs="*", default=[], help="of probes with plain generation")
    parser.add_argument("--study", required=True, help="the study's name")
    parser.add_argument("--models", nargs="+", required=True, help="the models' labels")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    parts = [
        f"# Tables of the study {args.study}\n",
        f"Models: {', '.join(args.models)}. Seeds: {', '.join(map(str, args.seeds))}.\n",
        "Captions and the columns named Paper are those of Li et al. 2024 (arXiv 2410.05802); the rest is ours.\n",
    ]
    if args.agreements:
        parts.append(sentence([read_json(path, "an agreement of a probe") for path in args.agreements]) + "\n")
    for path in args.tables:
        try:
            parts.append(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(path, f"cannot be read ({error})", "the Markdown of a table") from error
    write_text("\n".join(parts), args.output)


if __name__ == "__main__":
    report(main)
