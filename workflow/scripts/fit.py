"""Adapter of rule fit."""

from adapter import block_request, lineage, machine, stage_outputs
from process import job

from incbayes.jobs.fit import run_stage

names = snakemake.wildcards
title = f"{names.experiment} {names.method} T{names.T} {names.block} stage {int(names.t)}"
with job(snakemake, title) as console:
    run_stage(
        block_request(snakemake, names.method, int(names.T)),
        int(names.t),
        lineage(snakemake),
        stage_outputs(snakemake),
        machine(snakemake, console),
    )
