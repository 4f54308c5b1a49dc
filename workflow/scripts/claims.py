"""Adapter of rule claims."""

from pathlib import Path

from process import job

from incbayes.claims.ledger import judge, write_ledger
from incbayes.collect import read_records

with job(snakemake, "claims") as console:
    records = read_records(Path(snakemake.input.records))
    entries = judge(snakemake.params.claims, records, snakemake.params.reduced)
    for entry in entries:
        console.say(f"{entry['claim']}: {entry['verdict']}")
    write_ledger(entries, Path(snakemake.output.json), Path(snakemake.output.csv))
