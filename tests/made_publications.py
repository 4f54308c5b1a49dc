"""Runs of a made study, whole or in pieces, and what is published of them in turn."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from made_provenance import made_provenance
from made_studies import Shape, made_claims, made_frames, plain_made_study
from msgspec.structs import replace

from incbayes.figures import style, write
from incbayes.figures.context import context_of
from incbayes.figures.write import figure_numbers
from incbayes.kinds import FIGURES
from incbayes.publication.publish import Measured, joined, publish, read_published
from incbayes.report.convergence import stage_ends
from incbayes.report.provenance import TIMING_COLUMNS, chain_of
from incbayes.results.collect import ordered_records
from incbayes.results.frames import Frames
from incbayes.results.records import records_digest
from incbayes.study.blocks import block_replicates
from incbayes.study.chains import chain_name, chosen_chains
from incbayes.study.merging import merged
from incbayes.study.model import plain_study, study_of
from incbayes.study.resolve import resolve_study

SHAPE = Shape(methods=3, experiments=2, parts=(1, 2, 3), replicates=4, layers=2)
TIMINGS = pd.DataFrame([["fit", "a", 61.0, 60.0, 512.0]], columns=TIMING_COLUMNS)


@cache
def whole_study():
    """Return the made study in normal form, with claims; its names are in no order."""
    made = plain_made_study(SHAPE) | {"title": "Made in pieces"}
    for key in ("experiments", "methods"):
        made[key] = dict(reversed(made[key].items()))
    made["methods"]["m2"]["family"]["initial_sigma"] = 0.2  # else it would be m1 by another name
    claims = {
        name: claim | {"groups": list(map(stated, claim["groups"]))}
        for name, claim in made_claims(SHAPE).items()
        if name != "absent"
    }
    made["claims"] = claims
    return resolve_study({key: made[key] for key in made if key not in ("study_id", "reduced")})


def changed(study, **changes):
    """Return a study with keys of its JSON form replaced; of mappings, their keys."""
    return study_of(merged(plain_study(study), changes))


def stated(group):
    """Return a group of a claim as a study states it."""
    if "constant" in group:
        return group["constant"]
    return {key: value for key, value in group.items() if key != "kl_scale"}


def measured(only, command="snakemake", value=None, numbers=range(4), lacking=(), **changes):
    """Return what a run of the made study's chains that `only` names would have to publish.

    Args:
        only: names of chains.
        command: of the run.
        value: of every record; None for the made ones.
        numbers: of its replicates.
        lacking: metrics that it was scored without.
        changes: keys of the study.
    """
    stated = {"only": only, "first_replicate": numbers.start, "replicates": len(numbers)}
    study = study_of(plain_study(whole_study()) | stated | changes)
    described = {n: replace(e, replicates=len(numbers)) for n, e in study.experiments.items()}
    study = replace(study, experiments=described)
    chains = set(chosen_chains(study))
    frames = made_frames(SHAPE)
    frames = replace_records(frames, frames.records[~frames.records["metric"].isin(lacking)])
    chosen = Frames(
        *(
            rows_of(frame[frame["replicate"].isin(numbers)], chains)
            for frame in (frames.records, frames.training, frames.calibration)
        )
    )
    block = {"block": f"r{numbers.start}-{numbers.stop - 1}", "replicates": list(numbers)}
    whole = made_provenance(SHAPE)
    (source,) = whole["sources"]
    names = [name for name in source["chains"] if name in set(map(chain_name, chains))]
    context = context_of(study)
    if value is not None:
        chosen.records.loc[:, "value"] = value
    return Measured(
        study,
        ordered_records(chosen.records),
        stage_ends(chosen.training, study),
        {name: figure_numbers(name, chosen, context) for name in FIGURES},
        {
            "sources": [source | {"chains": names, "command": command}],
            "runs": [
                run | block | {"records": scored(chosen.records, run | block)}
                for run in whole["runs"]
                if chain_of(run) in chains
            ],
        },
        chosen.training,
        chosen.calibration,
    )


def replace_records(frames, records):
    """Return frames with other records."""
    return Frames(records, frames.training, frames.calibration)


def scored(records, run):
    """Return the digest of the records of a run's stage."""
    same = [records[key] == run[key] for key in ("experiment", "method", "T", "t")]
    of_stage = records[np.logical_and.reduce(same)]
    of_block = of_stage[of_stage["replicate"].isin(block_replicates(run["block"]))]
    return records_digest(of_block.to_dict("records"))


def rows_of(frame, chains):
    """Return the rows of some chains."""
    keys = frame[["experiment", "method", "T"]].itertuples(index=False, name=None)
    return frame[[key in chains for key in keys]].reset_index(drop=True)


def left_blank(name, _numbers, context):
    """Return a page in place of a figure: to draw one takes longer than all else."""
    return style.nothing(context, FIGURES[name].title, "left blank")


def publish_in_turn(folder, *runs):
    """Publish runs one after another; return all files, by path. Only the last is drawn."""
    for run in runs[:-1]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(write, "draw_figure", left_blank)
            publish(folder, joined(read_published(folder), run), TIMINGS)
    for run in runs[-1:]:
        publish(folder, joined(read_published(folder), run), TIMINGS)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
