"""Adapter of rule tune."""

from pathlib import Path

from process import job

from incbayes.collect import collect_records
from incbayes.tuning import Candidate
from incbayes.tuning_outcome import scored, write_outcome

with job(snakemake, "choice of settings") as console:
    search = snakemake.params.search
    records = collect_records(map(Path, snakemake.input.metrics))
    candidates = [Candidate(**candidate) for candidate in snakemake.params.candidates]
    found = scored(candidates, records, search["metric"])
    for candidate in found:
        if candidate["chosen"]:
            console.say(f"{candidate['experiment']} {candidate['method']}: {candidate['settings']}")
    order = snakemake.params.order
    together = sorted(
        snakemake.params.before + found,
        key=lambda candidate: order.index([candidate["experiment"], candidate["method"]]),
    )
    outcome = search | {"candidates": together}
    write_outcome(outcome, Path(snakemake.output.csv), Path(snakemake.output.chosen))
