"""Adapter of rule choose_variance."""

from pathlib import Path

from adapter import block_request, machine, source_files
from process import job

from incbayes.evaluation.score import Evaluation
from incbayes.jobs.choose_variance import run_selection

names = snakemake.wildcards
with job(snakemake, f"{names.experiment} {names.method} T{names.T} grid") as console:
    run_selection(
        block_request(snakemake, names.method, int(names.T)),
        source_files(snakemake),
        Evaluation(**snakemake.params.evaluation),
        Path(snakemake.output[0]),
        machine(snakemake, console),
    )
