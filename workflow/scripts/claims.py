"""Adapter of rule claims."""

from pathlib import Path

from process import job

from incbayes.claims.history import History, first_runs, read_runs
from incbayes.claims.images import of_run
from incbayes.claims.ledger import judge, seal_ledger, write_ledger
from incbayes.report.escapes import from_scripts
from incbayes.results.collect import sealed_records
from incbayes.study.model import claims_of_plain
from incbayes.study.statement import stated_of_plain

with job(snakemake, "claims") as console:
    params, output = snakemake.params, snakemake.output
    records, seal = sealed_records(Path(snakemake.input.records), params.study)
    runs = read_runs(map(Path, snakemake.input.runs))
    history = History(stated_of_plain(params.stated), first_runs(runs))
    claims = claims_of_plain(from_scripts(params.claims))
    evidence = of_run([Path(path) for path in snakemake.input.evidence], seal)
    entries = judge(claims, records, params.reduced, history, evidence)
    for entry in entries:
        console.log(f"{entry['claim']}: {entry['verdict']}")
    files = [Path(output.json), Path(output.csv)]
    write_ledger(entries, *files)
    seal_ledger(Path(output.seal), params.study, seal, files)
