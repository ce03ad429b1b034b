"""What a study's work really took, in the rows of its plan: prompts, tokens, hours and disk."""

from pathlib import Path
from typing import Any

import pandas as pd

from gradual.planning.rows import gpus_of
from gradual.study import result_paths
from gradual.study.load_study import works_of
from gradual.study.runs import Config
from gradual.workflow import costs
from gradual.workflow.profiles import Profile

KEYS = ["model", "state", "work"]
COMPARED = ("prompts", "prompt_tokens", "answer_tokens", "hours", "disk")


def taken_of(config: Config, root: Path, profile: Profile) -> tuple[pd.DataFrame, str]:
    """What finished work took, means over its seeds, and where that is from; no rows where nothing is finished.

    Columns: KEYS and COMPARED. It is read from results/<study>, else from the costs that the repository has of the study,
    which know of no disk. A job without a benchmark has no hours (NaN).
    """
    results = root / "results" / config["study"]
    labels = {name: model["label"] for name, model in config["models"].items()}
    finished = [work for work in works_of(config) if _finished(work, results)]
    published = root / "results" / "reference" / config["study"] / result_paths.costs_csv()
    if finished:
        frame, source = costs.table(finished, results, labels), f"results/{config['study']}"
        disk = pd.DataFrame([{key: work[key] for key in KEYS} | {"disk": _disk(work, results)} for work in finished])
        frame = frame.merge(disk.groupby(KEYS, sort=False).mean().reset_index(), on=KEYS, how="left")
    elif published.is_file():
        frame, source = pd.read_csv(published).assign(disk=float("nan")), str(published.relative_to(root))
    else:
        return pd.DataFrame(columns=[*KEYS, *COMPARED]), ""
    frame = frame[frame["state"] != "all"]
    gpus = frame["work"].map(lambda work: max(gpus_of(profile, work), 1))
    return frame.assign(hours=frame["seconds"] * gpus / 3600)[[*KEYS, *COMPARED]], source


def _finished(work: dict[str, Any], results: Path) -> bool:
    """Whether all of a work is done: its usage is written; what has none has its benchmark."""
    return all((results / path).is_file() for path in work["usage"] or work["benchmarks"])


def _disk(work: dict[str, Any], results: Path) -> int:
    """Bytes of what a work left behind."""
    model = results / f"seed{work['seed']}" / work["model"]
    state = model / work["state"]
    if work["work"].startswith(costs.PROBE):
        folder = (results / work["usage"][0]).parent
        return _size(folder.glob("generations-*.parquet"))
    if work["work"] == "pretraining":
        return _size((model / "base").glob("*.safetensors"))
    if work["work"] == "evaluation":
        return _size((state / "evaluation").glob("generations.parquet"))
    return _size([*state.glob("epochs/*/*"), *state.glob("adapter/*")])


def _size(files: Any) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())
