"""Adapter of rule pretrain."""

from adapter import block_request, machine, stage_outputs

from incbayes.jobs.console import job
from incbayes.jobs.pretraining import run_pretraining

title = f"{snakemake.wildcards.experiment} pretrain {snakemake.wildcards.block}"
with job(title, snakemake.log[0]) as console:
    request = block_request(snakemake, "pretrain", 1)
    run_pretraining(request, stage_outputs(snakemake), machine(snakemake), console)
