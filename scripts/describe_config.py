"""Write docs/configuration.md, the table of all config keys, from the config's schema."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradual.ground.files import write_text
from gradual.study.config import expectation, resolve
from gradual.workflow.starting import report

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# Configuration

This page lists every key of `config.yaml` and of a study's file. Other keys are refused.

A study names only the keys that differ. The keys come from up to three places, and a later place overrides an earlier
one:

1. `config.yaml` has the defaults. It has no runs and no tables.
2. `extends` names a file of `studies/`. The study takes over the keys of that file, except `study`. That file may
   extend another file, and then overrides the keys of the other file. `extends: gradual_learning` gives the runs and
   tables of Li et al. 2024 ("Gradual Learning", GL). A study without `extends` skips this step. The default study is
   `config.yaml` as it stands. Only the default study takes the value of `extends` from `config.yaml`.
3. The study's own file has the last word.

Sections merge in three ways:

- `dataset` and `models` of a later place replace those of the earlier places as a whole.
- `runs` merge by name. A run replaces an earlier run of the same name as a whole, and null removes it.
- All other sections merge key by key. A list replaces the earlier list.

The files are read strictly. These are refused, because YAML takes them otherwise than they look: a key that is there
twice; `yes`, `no`, `on` and `off`; numbers such as `010`, `0x1F` and `12:30`; dates; tags such as `!!python/name`; and
anchors that multiply or hold themselves. Quote a text that looks like one of these. A file has at most 256 KiB.

A config has no passwords and no tokens, because Snakemake prints and keeps what a job is given. Jobs take the token of
the hub from `HF_TOKEN`. A path has no braces and no angle brackets, because Snakemake takes `{name}` for a wildcard and
`<name>` for a variable. All other texts, such as labels and stop strings, reach the jobs as they are.

This file is generated from `schemas/config.schema.json` with `python scripts/describe_config.py`.
"""


def rows(path: str, schema: dict[str, Any], root: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A key and the keys below it, with their schemas. A key that only refers to another key is left out."""
    yield path, schema
    for key, below in schema.get("properties", {}).items():
        if not below.get("$ref", "").startswith("#/properties/"):
            yield from rows(f"{path}.{key}", resolve(below, root), root)
    items = resolve(schema.get("items", {}), root)
    if "properties" in items:
        yield from (row for row in rows(f"{path}[]", items, root) if row[0] != f"{path}[]")
    other = schema.get("additionalProperties")
    if isinstance(other, dict):
        other = resolve(other, root)
        if "properties" in other:
            for key, below in rows(f"{path}.<name>", other, root):
                if key != f"{path}.<name>":
                    yield key, below


def render(root: dict[str, Any]) -> str:
    """The text of the document: the head, and for each section a heading and a table with a row per key."""
    lines = [HEAD]
    for section, schema in root["properties"].items():
        lines += [f"## {section}", "", "| key | value | meaning |", "|---|---|---|"]
        for key, found in rows(section, resolve(schema, root), root):
            default = f"; default `{json.dumps(found['default'])}`" if "default" in found else ""
            cells = (f"`{key}`", expectation(found, root) + default, found["description"])
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schema", type=Path, default=ROOT / "schemas" / "config.schema.json")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "configuration.md")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with status 1 if the output is out of date"
    )
    args = parser.parse_args(argv)
    text = render(json.loads(args.schema.read_text(encoding="utf-8")))
    if not args.check:
        write_text(text, args.output)
    elif not args.output.is_file() or args.output.read_text(encoding="utf-8") != text:
        sys.exit(f"error: {args.output.name} has drifted from the schema; run python scripts/describe_config.py")


if __name__ == "__main__":
    report(main)
