"""Write a finished study into a folder for others: labelled facts, adapters, tables, and cards; upload it on request."""

import argparse
import os
from pathlib import Path

from gradual.export.folder import export
from gradual.export.upload import upload
from gradual.workflow.starting import report

ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/<study>")
    parser.add_argument("--to", type=Path, help="the folder to write; by default export/ in the results")
    parser.add_argument(
        "--licence", help="the licence of the facts, as the hub names it; their texts are then exported in any case"
    )
    parser.add_argument(
        "--upload-to", metavar="OWNER/NAME", help="also upload the folder to these repositories of the hub (HF_TOKEN)"
    )
    args = parser.parse_args(argv)
    target = args.to or args.results / "export"
    export(args.results, target, ROOT, args.licence)
    print(f"{target}: written, {sum(file.is_file() for file in target.rglob('*'))} files")
    if args.upload_to:
        os.environ.pop("HF_HUB_OFFLINE", None)
        print("uploaded to", " and ".join(upload(target, args.upload_to)))


if __name__ == "__main__":
    report(main)
