"""An explanation of a dry run of Snakemake: which jobs would run, and which changes cause this."""

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
    """The jobs in the output of a dry run, without the target rule all."""
    found = []
    for rule, text in JOB.findall(dry_run):
        fields = dict(FIELD.findall(text))
        if rule != "all":
            found.append(Job(rule, fields.get("wildcards", ""), fields.get("reason", "")))
    return found


def differences(before: Any, now: Any, key: str = "") -> list[str]:
    """The differences of two values, as "key: before -> now". For mappings, only the keys that differ are listed."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [k for k in {**before, **now} if before.get(k) != now.get(k)]
        return [text for k in keys for text in differences(before.get(k), now.get(k), f"{key}.{k}" if key else k)]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [text for b, n in zip(before, now, strict=True) if b != n for text in differences(b, n, key)]
    return [f"{key}: {before} -> {now}" if key else f"{before} -> {now}"]


def causes(job: Job) -> list[str]:
    """The causes in the job itself, in words. Empty if it runs only because other jobs make its inputs anew."""
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
    """The jobs of a dry run, with a line per rule and cause, and then the jobs that run only because of these."""
    found = jobs(dry_run)
    if not found:
        return "Nothing would run, because every result is up to date with the config, the data and the code.\n"
    by_cause: dict[tuple[str, str], list[Job]] = {}
    follow: Counter[str] = Counter()
    for job in found:
        for cause in causes(job):
            by_cause.setdefault((job.rule, cause), []).append(job)
        if not causes(job):
            follow[job.rule] += 1
    lines = [f"{len(found)} jobs would run.", "", "Because of a change:"]
    for (rule, cause), of_cause in by_cause.items():
        wildcards = "; ".join(job.wildcards for job in of_cause[:3] if job.wildcards)
        more = f" and {len(of_cause) - 3} more" if len(of_cause) > 3 else ""
        lines.append(f"  {rule} ({wildcards}{more}): {cause}" if wildcards else f"  {rule}: {cause}")
    if follow:
        lines += ["", "Because the jobs above make their inputs anew:"]
        lines.append("  " + ", ".join(f"{rule} ({n})" for rule, n in follow.items()))
    return "\n".join([*lines, ""])


def _changed(before: str, now: str) -> list[str]:
    """The change between two params: of code or of settings."""
    if FINGERPRINT.match(before) and FINGERPRINT.match(now):
        return ["its code changed"]
    return differences(_value(before), _value(now))


def _value(text: str) -> Any:
    """The value of a param that Snakemake printed. JSON inside it is parsed."""
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
