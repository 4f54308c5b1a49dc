"""Adapter of the rules evaluate_T…."""

from dataclasses import replace
from pathlib import Path

from adapter import block_request, machine
from process import job

from incbayes.evaluation.score import Evaluation
from incbayes.jobs.evaluate import StageScores, run_evaluation
from incbayes.study.model.base import KindSpec
from incbayes.study.outliers import data_sets_among
from incbayes.study.shifts import stored_among

names, parts = snakemake.wildcards, snakemake.params.parts


def folders(key, among, files):
    """Return the folders of prepared files, by the name of the outliers or shift that each is."""
    kinds = snakemake.params.evaluation[key].items()
    named = among({name: KindSpec.of(kind) for name, kind in kinds})
    return dict(zip(named, [Path(path).parent for path in files], strict=True))


with job(snakemake, f"{names.experiment} {names.method} T{parts} scores") as console:
    run_evaluation(
        replace(
            block_request(snakemake, names.method, parts),
            outliers=folders("outliers", data_sets_among, snakemake.input.outliers),
            corrupted=folders("shifts", stored_among, snakemake.input.corrupted),
        ),
        Evaluation(**snakemake.params.evaluation),
        [Path(path) for path in snakemake.input.posteriors],
        [
            StageScores(Path(metrics), Path(calibration), Path(evidence) if evidence else None)
            for metrics, calibration, evidence in zip(
                snakemake.output.metrics,
                snakemake.output.calibration,
                [None] * (parts - 1) + [snakemake.output.evidence],
                strict=True,
            )
        ],
        machine(snakemake, console),
    )
