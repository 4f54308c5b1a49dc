"""Adapter of rule state_claims."""

from pathlib import Path

from process import job

from incbayes.publication.state import state_claims
from incbayes.study.model import study_of

with job(snakemake, "statement of the claims") as console:
    params = snakemake.params
    folders = Path(params.published), Path(params.results)
    for line in state_claims(study_of(params.study), *folders):
        console.log(line)
        print(line)
