# Gradual Learning, end to end: raw facts -> probes -> categories -> LoRA runs -> tables.
# `snakemake --cores all` makes the default study; `--configfile studies/<name>.yaml` another one.

from snakemake.utils import min_version

min_version("9.27")


# Results, data and studies are in the project's folder, wherever Snakemake is started.
workdir: workflow.basedir


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/base.smk"
include: "rules/probe.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"


onstart:
    lock_study(log)


onsuccess:
    timers.end_timers()


onerror:
    timers.end_timers()
    print(job_failures.explain(log), file=sys.stderr)


rule all:
    default_target: True
    input:
        [result(kind) for kind in ("tables", "costs", "costs_csv", "provenance", "report")],
        expand([result("table_csv"), result("table_markdown")], table=TABLES_SHOWN),
        expand([result("figure_csv"), result("figure_svg")], figure=FIGURES),
    localrule: True


# `make pretrained` compares these base models with the shipped ones.
rule pretrained:
    input:
        expand(
            rules.pretrain_again.output.base,
            seed=SEEDS,
            model=[m for m in MODELS if MODELS[m]["source"] == "pretrain"],
        ),
    localrule: True
