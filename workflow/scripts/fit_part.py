"""Adapter of rule fit_part."""

from adapter import lineage, machine, part_request, stage_outputs
from process import job

from incbayes.jobs.part import run_part

names = snakemake.wildcards
title = f"{names.experiment} {names.method} {names.block} part {snakemake.params.parts['part']}"
with job(snakemake, title) as console:
    run_part(
        part_request(snakemake),
        int(names.t),
        lineage(snakemake),
        stage_outputs(snakemake),
        machine(snakemake, console),
    )
