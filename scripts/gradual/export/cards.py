"""The texts of an export: the data card, the model cards, the citation and the description for Zenodo."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import pandas as pd
import yaml
from tabulate import tabulate

from gradual.export.licences import OTHER, OWN, SPDX, Licence
from gradual.export.study import Finished
from gradual.export.weights import Base, base_of
from gradual.ground.files import read_parquet
from gradual.knowledge.selection_roles import TRAIN
from gradual.study import result_files as kinds
from gradual.study.result_files import Result
from gradual.study.runs import ORIGIN

Citation = Mapping[str, Any]  # the content of CITATION.cff

COLUMNS = {
    "fact_id": "the fact, as a digest of its row in the facts table",
    "split": "train, dev, test or support",
    "relation": "the relation that the fact is of",
    "subject": "what the question is about",
    "question": "the question",
    "answers": "the answers that count as right; the first one is the gold answer",
    "seed": "the seed of the study",
    "model": "the model",
    "state": "the state of the model: origin is the untouched model, the others are trained",
    "probe": "0 is the probe, 1 is the re-probe with other prompts",
    "category": "HighlyKnown, MaybeKnown, WeaklyKnown or Unknown; without sampled answers the last two are one",
    "greedy_right": "greedy answers that are right, of different few-shot prompts",
    "greedy_n": "greedy answers that were asked for",
    "sampled_right": "sampled answers that are right",
    "sampled_n": "sampled answers that were asked for; 0 where none was needed",
    "wording": "the wording of the question",
    "revision": "the revision of the fact's answer that the answer was compared with",
    "right": "whether the greedy answer is right",
}
WITHHELD = (
    "The subjects, the questions and the answers are not in this export, because the licence of the dataset does not let"
    " us pass them on, or is not known. `fact_id` is the key of the same row in the study's `facts.parquet`, which"
    " everybody makes who has the dataset."
)


def title(study: Finished, citation: Citation) -> str:
    """The title of a study's export."""
    return f"{citation['title']}: study {study.name}"


def data_card(
    study: Finished, citation: Citation, licence: Licence, data: Mapping[str, pd.DataFrame], adapters: Sequence[str]
) -> str:
    """The README.md of the dataset. Its head is a dataset card's of the hub. `data` are the tables in data/, by name."""
    rows = max(map(len, data.values()), default=0)
    size = next((name for most, name in SIZES if rows < most), "n>1M")
    head = {
        "license": licence.name if licence.texts else OWN,
        "language": ["en"],
        "pretty_name": title(study, citation),
        "task_categories": ["question-answering"],
        "tags": ["knowledge", "fine-tuning", "gradual-learning", "snakemake"],
        "size_categories": [size],
        "configs": [{"config_name": name, "data_files": f"data/{name}.parquet"} for name in data],
    }
    git = study.provenance.get("git", {}).get("commit", "unknown")
    parts = [
        _head(head),
        f"# {title(study, citation)}\n",
        "Which facts a language model knows before and after each training of this study. The benchmark that made these"
        f" files is {citation['title']}, at commit {git}.\n",
    ]
    for name, table in data.items():
        described = [(f"`{column}`", COLUMNS[column]) for column in table.columns]
        parts += [f"## `data/{name}.parquet`\n", f"{len(table):,} rows.\n", _table(("column", "content"), described)]
    if "labels" in data:
        parts += ["### Facts by category\n", _counted(data["labels"])]
    named = {result.state for _, _, result in study.of_kind(kinds.ADAPTER)}
    states = [(f"`{ORIGIN}`", "the untouched model")]
    states += [(f"`{run.name}`", run.label) for run in study.runs.values() if run.name in named]
    parts += [
        "## States\n",
        _table(("state", "label"), states),
        "## Other files\n",
        "`report.html` has the figures and the tables of the study on one page, and `figures/`, `tables.md` and `tables/`"
        " have them one by one. `costs.md` says what every state took, and `provenance.json` the config, the versions and"
        " the digests. `SHA256SUMS` has the digest of every file; the models have one of their own.\n",
    ]
    if adapters:
        told = (
            f"`models/` has {len(adapters)} LoRA adapters, each with a card. On the hub they are a model repository.\n"
        )
        parts += ["## Models\n", told]
    said = f"The facts are under the licence `{licence.name}`." if licence.texts else WITHHELD
    parts += ["## Licence\n", f"{said} The labels are under `{OWN}`.\n"]
    parts += ["## Citation\n", "`CITATION.cff` names this dataset and the papers whose study it carries out.\n"]
    return "\n".join(parts)


SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))


def models_card(
    study: Finished, citation: Citation, licence: Licence, bases: Sequence[str], adapters: Sequence[tuple[str, Base]]
) -> str:
    """The README.md of the folder of all base models that are copied, and of all adapters, each with its base model."""
    parts = [_head(_model_head(licence, None)), f"# {title(study, citation)}: models\n"]
    if bases:
        parts += ["The base models:\n", "".join(f"- [{name}]({name}/README.md)\n" for name in bases)]
    if adapters:
        said = (
            "LoRA adapters of this study's states. Each folder has one adapter, with a card that says how to load it.\n"
        )
        rows = [(f"[{name}]({name}/README.md)", f"`{base.name}`") for name, base in adapters]
        parts += [said, _table(("adapter", "base model"), rows)]
    return "\n".join(parts)


def adapter_card(study: Finished, licence: Licence, seed: int, model: str, state: str, name: str, parts: int) -> str:
    """The README.md of an adapter. `parts` is the number of adapters that it is the sum of."""
    run, base, given = study.runs[state], base_of(study, seed, model), study.config["models"][model]
    roles = read_parquet(study.file(Result(kinds.EXAMPLES, state), seed, model), "examples", ("role",))["role"]
    trained = int((roles == TRAIN).sum())
    told = [
        f"A LoRA adapter of the study `{study.name}`: the state `{state}` ({run.label}) of {given['label']}, seed {seed}."
        f" It was trained from `{run.parent}` on {trained:,} examples"
        + (f", with {len(roles) - trained:,} in the replay pool" if trained < len(roles) else "")
        + "."
    ]
    if parts > 1:
        told.append(
            f"It is the sum of the {parts} adapters that lead to this state, so that it needs only the base model."
        )
    if (accuracy := study.test_accuracy(state, seed, model)) is not None:
        told.append(f"It answers {accuracy:.2%} of the test questions right.")
    settings = study.config["training"] | study.config["runs"][state]
    shown = [
        (f"`{key}`", f"`{settings[key]}`")
        for key in ("objective", "learning_rate", "epochs", "batch", "rank", "alpha", "loss_on")
    ]
    return "\n".join(
        [
            _head(_model_head(licence, base)),
            f"# {name}\n",
            " ".join(told) + "\n",
            _table(("setting", "value"), shown),
            "## Use\n",
            _use(base, given["dtype"], name, study.config["probe"]["format"]),
            _terms(licence, base),
        ]
    )


def base_card(study: Finished, licence: Licence, seed: int, model: str) -> str:
    """The README.md of a base model that is copied."""
    given, base = study.config["models"][model], base_of(study, seed, model)
    made = (
        f"It was pretrained by the benchmark on text about the facts of this study, with seed {seed}."
        if given["source"] == "pretrain"
        else f"It is a copy of a model that others made (source: {given['source']}). The licence of that model applies."
    )
    head = {"library_name": "transformers", "license": _model_licence(licence, base)}
    return "\n".join(
        [_head(head), f"# {base.name}\n", f"The base model {given['label']} of the study `{study.name}`. {made}\n"]
    )


def citation_of(study: Finished, citation: Citation, licence: Licence) -> str:
    """The CITATION.cff of an export: that of the benchmark, for a dataset.

    It names the licence only if the format has a name for it, because all others are refused there.
    """
    kept = {"authors": citation["authors"], "version": citation["version"]}
    kept |= {"date-released": str(citation["date-released"])}
    own = {"cff-version": citation["cff-version"], "title": title(study, citation)}
    own |= {"message": "If you use these data, please cite them and the papers below.", "type": "dataset"}
    # A copy, because YAML would only refer to an object that is there already.
    software = {"type": "software", "title": citation["title"]} | deepcopy(kept)
    named = SPDX.get(licence.name if licence.texts else OWN)
    terms = {"license": named} if named else {}
    whole = own | kept | terms | {"references": [software, *citation["references"]]}
    return str(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))


def zenodo(study: Finished, citation: Citation, licence: Licence) -> dict[str, Any]:
    """The description of an upload to Zenodo (.zenodo.json)."""
    papers = [
        note.removeprefix("arXiv ") for r in citation["references"] if (note := r.get("notes", "")).startswith("arXiv")
    ]
    found = {
        "title": title(study, citation),
        "upload_type": "dataset",
        "description": f"Labelled facts, tables and adapters of the study {study.name} of {citation['title']}.",
        "creators": [{"name": _name(author)} for author in citation["authors"]],
        "version": citation["version"],
        "keywords": ["language models", "fine-tuning", "knowledge"],
        "related_identifiers": [{"identifier": f"arXiv:{paper}", "relation": "cites"} for paper in papers],
    }
    named = licence.name if licence.texts else OWN
    return found | ({"license": named} if named != OTHER else {})


def _name(author: Mapping[str, str]) -> str:
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def _counted(labels: pd.DataFrame) -> str:
    """A Markdown table of the facts of each category, by model, state, split and probe, summed over seeds."""
    counts = pd.crosstab([labels[key] for key in ("model", "state", "split", "probe")], labels["category"])
    return str(counts.reset_index().to_markdown(index=False)) + "\n"


def _model_head(licence: Licence, base: Base | None) -> dict[str, Any]:
    head: dict[str, Any] = {"library_name": "peft", "license": _model_licence(licence, base) if base else OTHER}
    head |= {"pipeline_tag": "text-generation", "tags": ["lora", "gradual-learning"]}
    return head | ({"base_model": base.name} if base and not base.copied else {})


def _model_licence(licence: Licence, base: Base) -> str:
    """The licence of weights. Those that others made, or that learnt facts under another licence, are `other`."""
    return OWN if base.made_here and licence == Licence(OWN, texts=True) else OTHER


def _terms(licence: Licence, base: Base) -> str:
    """What a user must know of the licences behind an adapter."""
    data = f"`{licence.name}`" if licence.texts else "not free or not known"
    of_base = "" if base.copied else f" The licence of {base.name} applies as well."
    return f"## Licence\n\nThe licence of the facts that it learnt is {data}.{of_base}\n"


def _use(base: Base, dtype: str, name: str, style: str) -> str:
    """The code that loads an adapter on its base model, run in the folder that holds this folder."""
    revision = f', revision="{base.revision}"' if base.revision else ""
    told = (
        "In the folder that holds this one. Where the folders are in a repository of the hub, give its name and"
        " `subfolder=` instead.\n"
        if base.copied
        else "In the folder that holds this one, or with the name of a repository of the hub and `subfolder=`.\n"
    )
    prompt = "A prompt is a few questions with their answers, and then the question"
    prompt += (
        " (`Q: …` and `A: …` in lines).\n" if style == "plain" else ", as messages in the tokenizer's chat template.\n"
    )
    return f"""{told}
```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast.from_pretrained("{base.name}"{revision})
base = AutoModelForCausalLM.from_pretrained("{base.name}"{revision}, dtype="{dtype}")
model = PeftModel.from_pretrained(base, "{name}")
```

{prompt}"""


def _head(head: Mapping[str, Any]) -> str:
    return f"---\n{yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True)}---\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    told = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return tabulate(told, columns, tablefmt="github", disable_numparse=True) + "\n"
