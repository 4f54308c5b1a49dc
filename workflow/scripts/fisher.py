"""Adapter of rule fisher."""

from pathlib import Path

from adapter import machine, source_request
from process import job

from incbayes.jobs.given_fisher import GivenFiles, run_given_fisher
from incbayes.jobs.pretraining import run_fisher

kind, files = snakemake.wildcards.fisher, snakemake.input
title = f"{snakemake.wildcards.experiment} {kind} Fisher {snakemake.wildcards.block}"
with job(snakemake, title) as console:
    request = source_request(snakemake, "pretrain")
    output, where = Path(snakemake.output.fisher), machine(snakemake, console)
    if files.given:
        given = GivenFiles(Path(files.weights), Path(files.given), snakemake.params.images)
        run_given_fisher(request, kind, given, output, where)
    else:
        run_fisher(request, kind, Path(files.weights), output, where)
