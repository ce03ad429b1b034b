"""The failed jobs of a Snakemake run, with their causes and logs, from Snakemake's own log."""

import re
from pathlib import Path

FAILED = re.compile(r"^Error in rule (\w+):\n(?:    .*\n)*?    log: (\S+)", re.MULTILINE)
CAUSE = re.compile(r"(?ms)^error: [^\n]*(?:\n(?: |remedy: )[^\n]*)*")


def explain(logs: list[str]) -> str:
    """A text about the failed jobs in Snakemake's logs. It is empty if no job failed.

    For each job, it has the path of the job's log, and the cause and the remedy from the end of that log.
    """
    text = "\n".join(Path(log).read_text(encoding="utf-8", errors="replace") for log in logs)
    said = []
    for rule, path in dict.fromkeys(FAILED.findall(text)):
        log = Path(path).read_text(encoding="utf-8", errors="replace").strip() if Path(path).exists() else ""
        causes = CAUSE.findall(log) or log.splitlines()[-1:]
        said.append("\n  ".join([f"{rule} failed; its log is {path}", *"\n".join(causes).splitlines()]))
    if not said:
        return ""
    return "\n".join(
        [*said, "With keep-going, jobs that do not depend on failed ones have run. Start again to continue from here."]
    )
