"""The job graphs of all studies, without running them."""

import json
import re
from collections import Counter
from functools import cache

import pytest
import yaml

from project_copy import ROOT, snakemake_in

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))


def jobs(output: str) -> dict[str, int]:
    """The counts by rule of a dry run's job statistics."""
    table = output.partition("Job stats:")[2].partition("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}


@pytest.fixture(scope="module")
def said(project):
    """What a dry run says, with its commands. Several tests read those of the largest studies."""

    @cache
    def say(*words: str) -> str:
        done = snakemake_in(project)("--cores", "2", "-n", "-p", *words)
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    return say


@pytest.fixture(scope="module")
def planned(said):
    return lambda *words: jobs(said(*words))


def test_the_default_study_probes_trains_and_evaluates_each_model(planned):
    graph = planned()
    assert graph["pretrain_base"] == 2
    assert graph["train_adapter"] == 11 + 2  # the second model runs what the paper ran on it
    assert (
        graph["probe_facts"] == 6 + 4
    )  # train twice at origin, both stages; of the first model test and train_on, too
    assert graph["check_probe"] == 2
    assert graph["build_examples"] == 10 + 2 and graph["draw_answers"] == 1  # whose answers are drawn
    assert graph["evaluate_epochs"] == 12 + 3
    assert graph["write_table"] == 17 and graph["draw_figure"] == 12 and graph["write_report"] == 1


def test_the_tutorial_lists_the_jobs_that_follow_from_the_run_that_it_changes(said):
    made = re.compile(r"^(?:local)?rule (\w+):\n    input: (.*)\n    output: (.*)$", re.MULTILINE)
    todo = [(rule, {*inputs.split(", ")}, {*outputs.split(", ")}) for rule, inputs, outputs in made.findall(said())]
    changed = [job for job in todo if job[0] == "train_adapter" and any("/strategy5/" in file for file in job[2])]
    found, files = [], set().union(*(outputs for _, _, outputs in changed))
    for _ in todo:  # the longest way through the graph is not longer
        found = [job for job in todo if job not in changed and job[1] & files]
        files = files.union(*(outputs for _, _, outputs in found))
    follow = Counter(rule for rule, _, _ in found)
    listed = TUTORIAL.split("make their inputs anew:\n")[1].split("\n```")[0]
    assert {rule: int(count) for rule, count in re.findall(r"(\w+) \((\d+)\)", listed)} == follow
    assert f"\n{len(changed) + len(found)} jobs would run.\n" in TUTORIAL


def test_a_study_that_checks_no_facts_has_no_job_for_it(planned, project):
    (project / "unchecked.yaml").write_text("study: unchecked\nextends: gradual_learning\nprobe: {checked: 0}\n")
    assert "check_probe" not in planned("--configfile", "unchecked.yaml")


def test_a_study_whose_answers_change_has_rules_for_them_and_other_studies_have_not(planned, project):
    (project / "revised.yaml").write_text(
        "study: revised\nextends: gradual_learning\ncorpus: {reworded: 0.75}\n"
        "dataset:\n"
        "  reader: world\n"
        "  carve: {test: 0.3, dev: 0.07, support: 0.15}\n"
        "  revisions: {count: 4, facts: 600, kept: 400, unrelated: 600, band: all}\n"
        "  wordings: {train: [0], augment: [1, 2], test: [3]}\n"
    )
    seed = "results/revised/seed0"
    graph = planned(f"{seed}/revisions.parquet", f"{seed}/wordings.parquet", "--configfile", "revised.yaml")
    # The revisions wait for the corpus, which knows the false answers, and the corpus for the wordings.
    assert graph == dict.fromkeys(("build_facts", "build_corpus", "reword_questions", "revise_facts"), 1)
    without = snakemake_in(project)("-n", "results/default/seed0/revisions.parquet")
    assert without.returncode != 0 and "MissingRuleException" in without.stdout


def test_a_run_that_composes_trains_upon_the_sum_of_the_adapters_before_it(project):
    run = "select: {origin: [MaybeKnown]}, adapter: compose, compose: {sharpness: 8}"
    (project / "composed.yaml").write_text(
        "study: composed\nextends: gradual_learning\nruns:\n"
        f"  mocl2: {{from: stage1, {run}}}\n  mocl3: {{from: mocl2, {run}}}\n"
    )
    states = "results/composed/seed0/qwen2"
    asked = f"{states}/mocl3/train-probe-0/generations-0.parquet"
    done = snakemake_in(project)("--cores", "2", "-n", "-p", asked, "--configfile", "composed.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert jobs(done.stdout)["compose_adapters"] == 2
    commands = re.findall(r" scripts/(\w+)\.py (.*)$", done.stdout, re.MULTILINE)
    merged = {words.partition("--run ")[2].split()[0]: words for name, words in commands if name == "train_adapter"}
    assert f"--merge {states}/mocl3/composition/composed.json --parent  --settings" in merged["mocl3"]
    told = next(words for name, words in commands if name == "compose_adapters" and "mocl3/composition" in words)
    assert "--states stage1 mocl2 mocl3 " in told and "--sharpness 8 " in told
    assert f"--adapters {states}/stage1/adapter/chosen.json {states}/mocl2/adapter/chosen.json " in told
    assert f"--compositions {states}/mocl2/composition/composed.json " in told
    probed = next(words for name, words in commands if name == "probe_facts" and "--state mocl3" in words)
    assert f"{states}/mocl3/composition/composed.json {states}/mocl3/adapter/chosen.json --facts" in probed


def test_a_run_with_preference_has_samples_and_the_params_of_other_trainings_stay_as_they_are(project):
    (project / "preferred.yaml").write_text(
        "study: preferred\nextends: gradual_learning\n"
        "runs:\n"
        "  mine: {from: stage1, select: {stage1: [MaybeKnown]}, epochs: 3, objective: preference,\n"
        "         preference: {samples: 4, beta: 0.5}}\n"
        "tables: {strategies: [strategy4, strategy5, mine], show: [8]}\n"
    )
    done = snakemake_in(project)("--cores", "2", "-n", "-p", "--configfile", "preferred.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    commands = re.findall(r" scripts/(\w+)\.py (.*)$", done.stdout, re.MULTILINE)
    [sampled] = [words for script, words in commands if script == "sample_answers"]
    given = {"samples": 4, "temperature": 0.8, "top_k": 40, "align": "scoring"}
    assert f"--sampling '{json.dumps(given, sort_keys=True)}'" in sampled and "--parent stage1" in sampled
    assert "stage1/adapter/chosen.json --examples results/preferred/seed0/qwen2/mine/examples.parquet" in sampled
    trained = {re.search(r"--run (\w+)", words)[1]: words for script, words in commands if script == "train_adapter"}
    settings = {run: json.loads(re.search(r"--settings '([^']*)'", words)[1]) for run, words in trained.items()}
    loss = {"alpha": 1.0, "beta": 0.5, "bound": "npo", "b": 1.0, "target": True}
    assert settings.pop("mine") == settings["stage1"] | {
        "epochs": 3, "objective": "preference", "preference": loss
    }  # fmt: skip
    assert "--samples results/preferred/seed0/qwen2/mine/samples.parquet" in trained.pop("mine")
    assert settings["stage1"] == {
        "rank": 64, "alpha": 64, "dropout": 0.0, "batch": 32, "micro_batch": 32, "learning_rate": 0.0005,
        "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        "weight_decay": 0.01, "adam_beta2": 0.999, "epochs": 10, "warmup_ratio": 0.0, "objective": "cross_entropy",
        "loss_on": "answer",
    }  # fmt: skip
    assert len(trained) == 3 and all(re.search(r"--samples +--merge", words) for words in trained.values())
    assert all(each.keys() == settings["stage1"].keys() for each in settings.values())


def test_a_run_that_augments_its_questions_has_rules_for_it_and_the_runs_beside_it_have_not(planned, project):
    (project / "augmented.yaml").write_text(
        "study: augmented\nextends: null\nchoose_on: last\ntables: {show: [2]}\n"
        "corpus: {rewrite: 0.05}\n"
        "dataset:\n"
        "  reader: world\n"
        "  carve: {test: 0.3, dev: 0.07, support: 0.15}\n"
        "  revisions: {count: 1, facts: 60, kept: 40, unrelated: 60, band: all}\n"
        "  wordings: {train: [0], augment: [1, 2], test: [3]}\n"
        "stages:\n"
        "  - {facts: [revised, kept], answers: {revision: 0}}\n"
        "  - {facts: [revised], answers: {revision: 1}}\n"
        "methods: {cit: {}, ca: {augment: {ways: [paraphrase]}}, steps: {steps_of: ca}, tokens: {tokens_of: ca}}\n"
    )
    state = "results/augmented/seed0/qwen2/{}2/examples.parquet"
    graph = planned(*map(state.format, ("cit", "ca", "steps", "tokens")), "--configfile", "augmented.yaml")
    assert graph["revise_examples"] == 2  # of stage 1 and cit2
    assert graph["revise_own_examples"] == 3 and graph["augment_examples"] == 1
    assert graph["match_steps"] == graph["match_tokens"] == 1
    assert graph["augment_questions"] == graph["train_adapter"] == 1  # the parent, which writes, is trained
    plain = planned(state.format("cit"), "--configfile", "augmented.yaml")
    assert not {"revise_own_examples", "augment_questions", "train_adapter"} & set(plain)


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_has_a_job_graph(study, planned, project):
    (project / "data/wikiqa").mkdir(parents=True, exist_ok=True)  # the one that nothing downloads
    seeds = yaml.safe_load((ROOT / f"studies/{study}.yaml").read_text(encoding="utf-8")).get("seeds") or []
    (project / "one_seed.yaml").write_text(f"seeds: {seeds[:1]}\n")  # the graph of a seed is that of any other
    graph = planned("--configfile", f"studies/{study}.yaml", *(["one_seed.yaml"] if len(seeds) > 1 else []))
    assert graph["collect_tables"] == 1


def test_the_papers_study_fetches_both_models_and_shards_its_probes(planned):
    graph = planned("--configfile", "studies/paper.yaml")
    assert graph["fetch_base"] == 2
    assert "pretrain_base" not in graph
    assert graph["probe_facts"] == (6 + 4) * 32
    assert graph["train_adapter"] == 19 + 2  # every length, control and replay ratio


def test_the_authors_study_has_the_papers_stages_and_merges_what_lies_beneath(said, planned):
    words = ("--configfile", "studies/authors.yaml")
    graph = planned(*words)
    assert graph["fetch_base"] == 1
    assert graph["probe_facts"] == 6 * 128  # train twice at origin, test, both stages, train_on
    assert graph["train_adapter"] == 12  # stage 1 in four lengths, five strategies, a third round, two controls
    assert graph["evaluate_epochs"] == 12 + 1
    commands = re.findall(r" scripts/(\w+)\.py (.*)$", said(*words), re.MULTILINE)
    asked = [words for script, words in commands if script in ("probe_facts", "evaluate_epochs")]
    assert len(asked) == 6 * 128 + 13
    for setting in ('"format": "chat"', '"max_new_tokens": 512', '"repetition_penalty": 1.05', '"stop": []'):
        assert all(setting in words for words in asked)
    trained = [words for script, words in commands if script == "train_adapter"]
    assert all(re.search(r"--parent +--settings", words) for words in trained)
    merged = Counter(
        re.search(r"--merge ?(.*?) +--parent", words)[1].count("/adapter/chosen.json") for words in trained
    )
    assert merged == {0: 5, 1: 6, 2: 1}


def test_a_settled_study_probes_by_its_scoring_rule(project):
    """What a probe is told, and the code that it depends on, are params: they re-run it."""
    told = {}
    for counts, scoring in (("exact", "substring"), ("exact", "word_boundary"), ("settled", "word_boundary")):
        (project / "settled.yaml").write_text(
            f"probe: {{counts: {counts}}}\nscoring: {scoring}\ntables: {{show: [2, 4]}}\n"
        )
        done = snakemake_in(project)("--cores", "2", "-n", "-p", "--configfile", "settled.yaml")
        assert done.returncode == 0, done.stdout[-3000:]
        commands = [line for line in done.stdout.splitlines() if "/categorize_facts.py" in line]
        assert commands and all(("--settled" in line) == (counts == "settled") for line in commands)
        told[counts, scoring] = sorted(line for line in done.stdout.splitlines() if "/probe_facts.py" in line)
    assert told["exact", "substring"] == told["exact", "word_boundary"]
    assert len(told["settled", "word_boundary"]) == 4  # greedy and full probes of both models
    assert all("--counts settled word_boundary" in line for line in told["settled", "word_boundary"])


def test_a_strategy_is_a_line_of_config_and_a_word_in_a_table(planned, project):
    (project / "more.yaml").write_text(
        "study: more\nextends: gradual_learning\n"
        "runs:\n"
        "  mine: {from: stage1, select: {origin: [WeaklyKnown]}, epochs: 3}\n"
        "tables: {strategies: [strategy4, strategy5, mine], show: [8]}\n"
    )
    graph = planned("--configfile", "more.yaml")
    assert graph["train_adapter"] == 4


def test_a_table_of_runs_that_no_model_has_is_refused(project):
    (project / "none.yaml").write_text("study: none\nextends: gradual_learning\ntables: {rounds: [], show: [2, 11]}\n")
    done = snakemake_in(project)("-n", "--configfile", "none.yaml")
    assert done.returncode != 0
    assert "no model has the runs that Table 11 is about" in done.stdout
    assert "tables.rounds" in done.stdout


def test_a_bad_config_is_refused_before_anything_runs(project):
    done = snakemake_in(project)("--cores", "1", "-n", "--config", "scorring=exact")
    assert done.returncode != 0
    assert "scorring" in done.stdout
    assert "scoring" in done.stdout.replace("scorring", "")
