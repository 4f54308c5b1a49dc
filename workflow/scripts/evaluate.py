"""Adapter of the rules evaluate_T…."""

from dataclasses import replace
from pathlib import Path

from adapter import block_request, machine
from process import job

from incbayes.evaluation.score import Evaluation
from incbayes.jobs.evaluate import StageScores, run_evaluation
from incbayes.study.model.base import KindSpec
from incbayes.study.outliers import data_sets_among

names, parts = snakemake.wildcards, snakemake.params.parts
kinds = snakemake.params.evaluation["outliers"]
folders = zip(
    data_sets_among({name: KindSpec.of(kind) for name, kind in kinds.items()}),
    [Path(path).parent for path in snakemake.input.outliers],
    strict=True,
)
with job(snakemake, f"{names.experiment} {names.method} T{parts} scores") as console:
    run_evaluation(
        replace(block_request(snakemake, names.method, parts), outliers=dict(folders)),
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
