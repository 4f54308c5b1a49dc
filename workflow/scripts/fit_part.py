"""Adapter of rule fit_part."""

from pathlib import Path

from adapter import machine, part_request, stage_outputs
from process import job

from incbayes.jobs.part import run_part

names = snakemake.wildcards
title = f"{names.experiment} {names.method} {names.block} part {snakemake.params.parts['part']}"
with job(snakemake, title) as console:
    parent = Path(snakemake.input.parent) if snakemake.input.parent else None
    outputs = stage_outputs(snakemake)
    run_part(part_request(snakemake), int(names.t), parent, outputs, machine(snakemake, console))
