"""The tables of Li et al. 2024, and ours beside them."""

from gradual.ground.choices import Choice
from gradual.tables.gradual_learning.roles import PLACES, Study, study_of
from gradual.tables.package import Package

PACKAGE = Package(
    name="gradual_learning",
    citation="Li et al. 2024 (arXiv 2410.05802)",
    tables=Choice(
        "table",
        {
            "table_02": "gradual.tables.gradual_learning.origin_categories:SPEC",
            "table_03": "gradual.tables.gradual_learning.transitions:TRAINING_SPEC",
            "table_04": "gradual.tables.gradual_learning.transitions:RETEST_SPEC",
            "table_05": "gradual.tables.gradual_learning.graph:SPEC",
            "table_06": "gradual.tables.gradual_learning.longer:SPEC",
            "table_07": "gradual.tables.gradual_learning.accuracies:STAGES_SPEC",
            "table_08": "gradual.tables.gradual_learning.strategies:OVERALL_SPEC",
            "table_09": "gradual.tables.gradual_learning.strategies:BY_CATEGORY_SPEC",
            "table_10": "gradual.tables.gradual_learning.category_counts:SPEC",
            "table_11": "gradual.tables.gradual_learning.accuracies:ROUNDS_SPEC",
            "table_12": "gradual.tables.gradual_learning.transitions:SECOND_SPEC",
            "controls": "gradual.tables.gradual_learning.comparisons:CONTROLS_SPEC",
            "guessing": "gradual.tables.gradual_learning.guessing:SPEC",
            "guessing_by_relation": "gradual.tables.gradual_learning.guessing:BY_RELATION_SPEC",
            "replay": "gradual.tables.gradual_learning.comparisons:REPLAY_SPEC",
            "scoring": "gradual.tables.gradual_learning.scoring_rules:SPEC",
            "chance": "gradual.tables.gradual_learning.chance_rates:SPEC",
            "claims": "gradual.tables.gradual_learning.claims:SPEC",
        },
    ),
    study=Study,
    study_of=study_of,
    places=PLACES,
)
