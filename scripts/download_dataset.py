"""Download a dataset's archive and check its digest."""

import argparse
from pathlib import Path

from gradual.data.download import download
from gradual.workflow.starting import report


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument(
        "--sha256", help="the expected digest of the archive; without it, a manifest checks the files later"
    )
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args(argv)
    download(arguments.url, arguments.sha256, arguments.output)


if __name__ == "__main__":
    report(main)
