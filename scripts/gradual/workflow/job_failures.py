"""What failed, why, and where to read more, from Snakemake's own log."""

import re
from pathlib import Path

FAILED = re.compile(r"^Error in rule (\w+):\n(?:    .*\n)*?    log: (\S+)", re.MULTILINE)
TOLD = ("error: ", "remedy: ")


def explain(logs: list[str]) -> str:
    """The failed jobs of Snakemake's logs, each with its log's path and the cause and remedy at that log's end.

    Empty where no job failed.
    """
    text = "\n".join(Path(log).read_text(encoding="utf-8", errors="replace") for log in logs)
    said = []
    for rule, path in dict.fromkeys(FAILED.findall(text)):
        lines = (
            Path(path).read_text(encoding="utf-8", errors="replace").strip().splitlines() if Path(path).exists() else []
        )
        causes = [line for line in lines if line.startswith(TOLD)] or lines[-1:]
        said.append("\n  ".join([f"{rule} failed; its log is {path}", *causes]))
    if not said:
        return ""
    return "\n".join(
        [*said, "With keep-going, what does not depend on it has gone on. Start again to continue from here."]
    )
