"""Adapter of rule republish."""

from pathlib import Path

from process import job

from incbayes.publication.add import publish_anew
from incbayes.study.model import study_of

with job(snakemake, "publication"):
    params = snakemake.params
    publish_anew(study_of(params.study), Path(params.folder), Path(params.benchmarks))
