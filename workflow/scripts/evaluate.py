"""Adapter of the rules evaluate_T…."""

from pathlib import Path

from adapter import block_request, machine
from process import job

from incbayes.evaluation.score import Evaluation
from incbayes.jobs.evaluate import StageScores, run_evaluation

names, parts = snakemake.wildcards, snakemake.params.parts
with job(snakemake, f"{names.experiment} {names.method} T{parts} scores") as console:
    run_evaluation(
        block_request(snakemake, names.method, parts),
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
