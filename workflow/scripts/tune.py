"""Adapter of rule tune."""

from pathlib import Path

from process import job

from incbayes.results.tuning import decided, write_outcome
from incbayes.study.model import SearchIdentity, TriedCandidate, read
from incbayes.study.tuning import Candidate

with job(snakemake, "choice of settings") as console:
    given, params = snakemake.input, snakemake.params
    outcome, found = decided(
        read(SearchIdentity, params.search),
        read(list[TriedCandidate], params.before),
        params.order,
        [Candidate(**candidate) for candidate in params.candidates],
        map(Path, given.metrics),
    )
    for candidate in found:
        if candidate.chosen:
            console.log(f"{candidate.experiment} {candidate.method}: {candidate.settings}")
    write_outcome(outcome, Path(snakemake.output.csv), Path(snakemake.output.chosen))
