"""The tables of Guan et al. 2025, and ours beside them."""

from gradual.ground.choices import Choice
from gradual.tables.multi_stage.roles import PLACES, Study, study_of
from gradual.tables.package import Package

PACKAGE = Package(
    name="multi_stage",
    citation="Guan et al. 2025 (Findings of NAACL 2025, pp. 5484-5498)",
    tables=Choice(
        "table",
        {
            "stages": "gradual.tables.multi_stage.stages:SPEC",
            "answers": "gradual.tables.multi_stage.answers:SPEC",
            "retention": "gradual.tables.multi_stage.retained:SPEC",
            "matrix": "gradual.tables.multi_stage.matrix:SPEC",
            "domains": "gradual.tables.multi_stage.domains:SPEC",
            "budgets": "gradual.tables.multi_stage.budgets:SPEC",
            "stage_claims": "gradual.tables.multi_stage.claims:SPEC",
        },
    ),
    study=Study,
    study_of=study_of,
    places=PLACES,
)
