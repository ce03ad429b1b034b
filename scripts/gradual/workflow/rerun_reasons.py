"""A dry run of Snakemake in words: what would run, what change makes it run, and what merely follows."""

import ast
import json
import re
from collections import Counter
from typing import Any, NamedTuple

JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)
FIELD = re.compile(r"^    (\w+): (.*)$", re.MULTILINE)
PARAMS = re.compile(r"before: (.*?) now: (.*?)(?=; [A-Z]|$)")
FINGERPRINT = re.compile(r"'?[0-9a-f]{16}'?$")
FOLLOWS = "Input files updated by another job"
MISSING = "Missing output files"
WORDS = {
    "Updated input files": "other contents of",
    "Set of input files has changed since last execution": "other input files than before",
    "Code has changed since last execution": "the rule's command changed",
    "Software environment definition has changed since last execution": "its environment changed",
}


class Job(NamedTuple):
    """A job of a dry run: its rule, wildcards ("seed=0, run=stage1") and Snakemake's reason."""

    rule: str
    wildcards: str
    reason: str


def jobs(dry_run: str) -> list[Job]:
    """The jobs of a dry run's output, without the targets' own."""
    found = []
    for rule, text in JOB.findall(dry_run):
        fields = dict(FIELD.findall(text))
        if rule != "all":
            found.append(Job(rule, fields.get("wildcards", ""), fields.get("reason", "")))
    return found


def differences(before: Any, now: Any, key: str = "") -> list[str]:
    """In which settings two values differ, as "key: before -> now"; of two mappings only the keys that differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [k for k in {**before, **now} if before.get(k) != now.get(k)]
        return [text for k in keys for text in differences(before.get(k), now.get(k), f"{key}.{k}" if key else k)]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [text for b, n in zip(before, now, strict=True) if b != n for text in differences(b, n, key)]
    return [f"{key}: {before} -> {now}" if key else f"{before} -> {now}"]


def causes(job: Job) -> list[str]:
    """What makes a job run of itself, in words; nothing where it only follows from other jobs."""
    found = []
    for part in re.split(r"; (?=[A-Z])", job.reason):
        name, _, rest = part.partition(": ")
        if name == MISSING:
            found.append("not made yet")
        elif name.startswith("Params have changed"):
            found += [text for before, now in PARAMS.findall(rest) for text in _changed(before.strip(), now.strip())]
        elif name in WORDS:
            found.append(f"{WORDS[name]} {rest}".strip() if name == "Updated input files" else WORDS[name])
        elif name and name != FOLLOWS:
            found.append(part)
    follows = FOLLOWS in job.reason
    return [cause for cause in dict.fromkeys(found) if not (follows and cause == "not made yet")]


def explain(dry_run: str) -> str:
    """What a dry run would do and why, a line per rule and cause, then what follows from these."""
    found = jobs(dry_run)
    if not found:
        return "Nothing would run: every result is of the config, the data and the code as they are.\n"
    by_cause: dict[tuple[str, str], list[Job]] = {}
    follow: Counter[str] = Counter()
    for job in found:
        for cause in causes(job):
            by_cause.setdefault((job.rule, cause), []).append(job)
        if not causes(job):
            follow[job.rule] += 1
    lines = [f"{len(found)} jobs would run.", "", "Of themselves:"]
    for (rule, cause), of_cause in by_cause.items():
        wildcards = "; ".join(job.wildcards for job in of_cause[:3] if job.wildcards)
        more = f" and {len(of_cause) - 3} more" if len(of_cause) > 3 else ""
        lines.append(f"  {rule} ({wildcards}{more}): {cause}" if wildcards else f"  {rule}: {cause}")
    if follow:
        lines += ["", "Because these make their inputs anew:"]
        lines.append("  " + ", ".join(f"{rule} ({n})" for rule, n in follow.items()))
    return "\n".join([*lines, ""])


def _changed(before: str, now: str) -> list[str]:
    """What a pair of params says: code or settings."""
    if FINGERPRINT.match(before) and FINGERPRINT.match(now):
        return ["its code changed"]
    return differences(_value(before), _value(now))


def _value(text: str) -> Any:
    """A param as Snakemake prints it, with the JSON inside it parsed."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return _parsed(value)


def _parsed(value: Any) -> Any:
    if isinstance(value, list):
        return [_parsed(item) for item in value]
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
