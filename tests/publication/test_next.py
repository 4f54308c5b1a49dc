"""What to run next, as commands and as a table."""

import pytest
from made_provenance import made_provenance
from made_studies import Shape, made_claims, made_context, made_frames, made_study
from msgspec.structs import replace
from small_study import changed

from incbayes.claims.next_runs import NextRuns
from incbayes.orchestration.commands import reproducing
from incbayes.publication.kept import PublicationError
from incbayes.publication.next import (
    lines_of,
    over_budget,
    published_steps,
    settings_of,
    with_settings,
)
from incbayes.report.next_table import next_table, steps_of
from incbayes.study.merging import merged
from incbayes.study.model import claims_of_plain
from incbayes.study.resolve import replicates_of, resolve_study

STEP = NextRuns(
    {("e0", "m0", 3): (5, 6, 7, 9), ("e0", "m1", 3): (5, 6, 7, 9), ("e1", "m0", 1): (4,)},
    hours=2.25,
    chances={"falls_behind": 0.876},
    gain=0.5,
)
SHAPE = Shape(methods=3, experiments=2, parts=(1, 3), replicates=4, layers=1)


def test_each_range_of_replicates_is_a_command_of_all_its_chains():
    assert settings_of(STEP) == [
        {"only": ["e1.m0.T1"], "first_replicate": 4, "experiments": {"e1": {"replicates": 1}}},
        {
            "only": ["e0.m0.T3", "e0.m1.T3"],
            "first_replicate": 5,
            "experiments": {"e0": {"replicates": 3}},
        },
        {
            "only": ["e0.m0.T3", "e0.m1.T3"],
            "first_replicate": 9,
            "experiments": {"e0": {"replicates": 1}},
        },
    ]


def test_what_a_budget_states_is_set_within_it():
    further = {"only": ["e.m.T1"], "first_replicate": 5, "experiments": {"e": {"replicates": 5}}}
    quick = {"experiments": {"e": {"replicates": 2, "title": "E"}, "f": {"replicates": 1}}}
    plain = changed() | {"budget": "quick"}
    for budget, within in ((quick, {"experiments": {"e": {"replicates": 5}}}), ({}, None)):
        study = replace(made_study(SHAPE), budget="quick", budgets={"quick": budget})
        assert over_budget(study, further).get("budgets", {}).get("quick") == within
    plain["budgets"] = {"quick": {"experiments": {"plain": {"replicates": 2}}}}
    further["experiments"] = {"plain": {"replicates": 5}}
    found = resolve_study(
        merged(plain, over_budget(resolve_study(plain), further) | {"only": None})
    )
    assert replicates_of(found, "plain") == range(5, 10)


def test_commands_keep_the_settings_that_were_given():
    given = {"data_root": "raw", "experiments": {"e0": {"training": {"epochs": 3}}}, "only": ["e1"]}

    def command(further):
        return reproducing(["studies/a.yaml"], with_settings(given, further), ".", "publish")

    lines = lines_of([STEP], [], command)
    assert lines[0] == "1. 2.2 core-hours; chance of a decision then: falls_behind 88 %"
    assert lines[2] == (
        "   snakemake --cores all --configfile studies/a.yaml --config data_root=raw "
        '\'experiments={"e0": {"training": {"epochs": 3}, "replicates": 3}}\' '
        '\'only=["e0.m0.T3", "e0.m1.T3"]\' first_replicate=5 -- publish'
    )
    once, said = lines_of([], ["one", "other"], command)
    assert once.startswith("Judged once, so that further replicates cannot decide them: one, other")
    assert (
        [said]
        == lines_of([], [], command)
        == ["No further run has a chance of a decision that is worth its hours."]
    )


def test_the_table_names_chains_replicates_and_claims():
    context, claims = made_context(SHAPE), claims_of_plain(made_claims(SHAPE))
    study = replace(made_study(SHAPE), claims=claims)
    table = next_table([STEP], study, context)
    (row,) = table["rows"]
    assert "Digits 0 in parts, Fine-tuning, T = 3: 4 more, numbers 5, 6, 7, 9" in row[0]
    assert row[1] == "2.2"
    assert row[2] == f"88 %: {claims['falls_behind'].sentence}"
    assert next_table([], study, context) is None


def test_steps_come_of_records_and_what_the_stages_took():
    claims = claims_of_plain(made_claims(SHAPE))
    claims = {name: replace(claim, looks=(4, 8, 16)) for name, claim in claims.items()}
    study = replace(made_study(SHAPE), claims=claims)
    runs = made_provenance(SHAPE)["runs"]
    steps = steps_of(study, made_frames(SHAPE).records, runs)
    assert steps and all(step.hours > 0 and step.gain >= 0.1 for step in steps)
    assert {name for step in steps for name in step.chances} <= set(claims)
    assert all(min(numbers) == 4 for numbers in steps[0].replicates.values())


def test_nothing_published_is_nothing_to_plan_by(tmp_path):
    with pytest.raises(PublicationError, match="nothing is published there to plan by"):
        published_steps(made_study(SHAPE), tmp_path / "none")
