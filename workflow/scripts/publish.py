"""Adapter of rule publish."""

from pathlib import Path

from process import job

from incbayes.report.publish import publish

with job(snakemake, "publication"):
    copies = zip(map(Path, snakemake.input), map(Path, snakemake.output.shown), strict=True)
    publish(snakemake.params.study, Path(snakemake.output.study), copies)
