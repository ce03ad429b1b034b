"""The time that the jobs of each rule took, and the hardware."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradual.report.canvas import BLUE, WIDTH, Canvas, shortened, tidy, whole_steps
from gradual.report.spec import FigureSpec
from gradual.study.result_files import PROVENANCE

NAMES, ROW = 118, 19
WORDS = {  # what the jobs of a rule do
    "build_facts": "facts",
    "build_corpus": "pretraining text",
    "pretrain_base": "pretraining",
    "fetch_base": "base models",
    "check_answers": "check of answers",
    "check_probe": "check of the probe",
    "probe_facts": "probes",
    "grade_generations": "grading of probes",
    "estimate_chance": "chance rates",
    "train_adapter": "training",
    "evaluate_epochs": "evaluation",
    "ask_groups": "questions to groups",
    "augment_questions": "augmentation",
    "sample_answers": "samples",
}


def numbers(read: Mapping[str, Any]) -> pd.DataFrame:
    """The jobs of each rule, from the provenance: the longest first."""
    provenance = read[PROVENANCE]
    machine = provenance.get("hardware", {})
    gpus = f", {', '.join(machine['gpus'])}" if machine.get("gpus") else ""
    hardware = f"{machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('memory_gib')} GiB{gpus}"
    frame = pd.DataFrame(provenance.get("jobs", []), columns=["rule", "jobs", "seconds", "max_rss_mib"])
    return frame.sort_values("seconds", ascending=False, kind="stable").assign(hardware=hardware)


def draw(shown: pd.DataFrame) -> Canvas:
    """A bar per rule."""
    inside = ROW * len(shown)
    canvas = Canvas(24 + inside + 40)
    said = shown["hardware"].iloc[0] if len(shown) else "no job has been measured"
    canvas.text(8, 10, shortened(said, WIDTH - 16))
    axes = canvas.axes(NAMES + 10, 22, WIDTH - NAMES - 24, max(inside, 1))
    minutes = shown["seconds"] / 60
    most = float(minutes.max()) if len(shown) else 1.0
    axes.set_xlim(0, 1.3 * most)
    axes.set_ylim(max(inside, 1), 0)
    axes.set_yticks([])
    axes.set_xlabel("minutes of all jobs together")
    tidy(axes)
    whole_steps(axes)
    scale = (WIDTH - NAMES - 24) / (1.3 * most)
    for number, (rule, minute) in enumerate(zip(shown["rule"], minutes, strict=True)):
        y = ROW * number + ROW / 2
        canvas.text(8, 22 + y, shortened(WORDS.get(rule, rule.replace("_", " ")), NAMES))
        axes.fill_betweenx([y - 6, y + 6], 0, minute, color=BLUE, linewidth=0, zorder=3)
        words = f"{minute:.0f}" if minute >= 10 else f"{minute:.1f}" if minute >= 0.1 else "< 0.1"
        canvas.text(NAMES + 10 + scale * minute + 5, 22 + y, words)
    return canvas


SPEC = FigureSpec(
    name="time",
    title="Hardware and time",
    note="Wall-clock time of the jobs of each rule, summed over jobs. Jobs run in parallel, so a study takes less. Results "
    "that were there before, such as shipped base models, took none.",
    numbers=numbers,
    draw=draw,
    provenance=True,
)
