"""Adapter of the rules pretrain and fit_source."""

from adapter import block_request, machine, stage_outputs
from process import job

from incbayes.jobs.pretraining import run_pretraining

method = snakemake.wildcards.get("method", "pretrain")
title = f"{snakemake.wildcards.experiment} source task {method} {snakemake.wildcards.block}"
with job(snakemake, title) as console:
    request = block_request(snakemake, method, 1)
    run_pretraining(request, stage_outputs(snakemake), machine(snakemake), console)
