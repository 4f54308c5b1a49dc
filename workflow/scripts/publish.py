"""Adapter of rule publish."""

import json
from pathlib import Path

from process import job

from incbayes.chains import chain_name, chosen_chains
from incbayes.collect import collect_training, read_records
from incbayes.figures import FIGURES
from incbayes.figures.figure import read_numbers
from incbayes.report.convergence import stage_ends
from incbayes.report.provenance import collect_timings
from incbayes.report.publication import Measured, joined, publish, read_published

with job(snakemake, "publication") as console:
    given, params, folder = snakemake.input, snakemake.params, Path(snakemake.params.folder)
    run = Measured(
        params.study,
        read_records(Path(given.records)),
        stage_ends(collect_training(map(Path, given.training)), params.study),
        {name: read_numbers(Path(path)) for name, path in zip(FIGURES, given.numbers, strict=True)},
        json.loads(Path(given.provenance).read_text(encoding="utf-8")),
    )
    published = read_published(folder)
    measured = joined(published, run)
    publish(folder, measured, collect_timings(Path(params.benchmarks)))
    now, made = (set(chosen_chains(m.study)) for m in (measured, run))
    before = set(chosen_chains(published.study)) if published else set()
    for what, chains in (
        ("published", made),
        ("shown beside them", now - made),
        ("dropped, as the study does not describe them", before - now),
    ):
        if chains:
            console.say(f"{what}: {', '.join(map(chain_name, sorted(chains)))}")
