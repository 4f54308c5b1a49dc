"""Adapter of rule fit."""

from pathlib import Path

from adapter import block_request, machine, source_files, stage_outputs
from process import job

from incbayes.jobs.fit import Lineage, run_stage

names = snakemake.wildcards
title = f"{names.experiment} {names.method} T{names.T} {names.block} stage {int(names.t)}"
with job(snakemake, title) as console:
    parent = Path(snakemake.input.parent) if snakemake.input.parent else None
    run_stage(
        block_request(snakemake, names.method, int(names.T)),
        int(names.t),
        Lineage(parent, source_files(snakemake)),
        stage_outputs(snakemake),
        machine(snakemake, console),
    )
