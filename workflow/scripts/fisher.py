"""Adapter of rule fisher."""

from pathlib import Path

from adapter import block_request, machine
from process import job

from incbayes.jobs.pretraining import run_fisher

kind = snakemake.wildcards.fisher
title = f"{snakemake.wildcards.experiment} {kind} Fisher {snakemake.wildcards.block}"
with job(snakemake, title) as console:
    run_fisher(
        block_request(snakemake, "pretrain", 1),
        kind,
        Path(snakemake.input.weights),
        Path(snakemake.output.fisher),
        machine(snakemake, console),
    )
