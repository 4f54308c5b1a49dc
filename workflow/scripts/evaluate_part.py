"""Adapter of rule evaluate_part."""

from pathlib import Path

from adapter import machine, part_request
from process import job

from incbayes.evaluation.score import Evaluation
from incbayes.jobs.evaluate import StageScores
from incbayes.jobs.evaluate_part import Scored, run_part_evaluation

names, given, output = snakemake.wildcards, snakemake.input, snakemake.output
title = f"{names.experiment} {names.method} part {snakemake.params.parts['part']} scores"
with job(snakemake, title) as console:
    run_part_evaluation(
        part_request(snakemake),
        Evaluation(**snakemake.params.evaluation),
        Scored(
            int(names.t),
            Path(given.posterior),
            Path(given.before) if given.before else None,
            Path(given.test).parent if given.test else None,
        ),
        StageScores(Path(output.metrics), Path(output.calibration), Path(output.evidence)),
        machine(snakemake, console),
    )
