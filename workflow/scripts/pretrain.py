"""Adapter of the rules pretrain and fit_source."""

from pathlib import Path

from adapter import machine, source_request, stage_outputs
from process import job

from incbayes.jobs.given_weights import run_import
from incbayes.jobs.pretraining import run_pretraining

method = snakemake.wildcards.get("method", "pretrain")
title = f"{snakemake.wildcards.experiment} source task {method} {snakemake.wildcards.block}"
with job(snakemake, title) as console:
    request = source_request(snakemake, method)
    outputs, where = stage_outputs(snakemake), machine(snakemake, console)
    if given := snakemake.input.get("given"):
        run_import(request, Path(given), snakemake.params.given, outputs, where)
    else:
        run_pretraining(request, outputs, where)
