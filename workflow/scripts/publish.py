"""Adapter of rule publish."""

import json
from pathlib import Path

from process import job

from incbayes.collect import read_records
from incbayes.figures import FIGURES
from incbayes.figures.figure import describe_figure
from incbayes.report.ledger import read_ledger
from incbayes.report.publish import publish
from incbayes.report.published import published_page

with job(snakemake, "publication"):
    given, made, study = snakemake.input, snakemake.output, snakemake.params.study
    figures = Path(given.report).parent / "figures"
    page = published_page(
        study,
        read_records(Path(given.records)),
        [describe_figure(name, figures) for name in FIGURES],
        json.loads(Path(given.provenance).read_text(encoding="utf-8")),
        read_ledger(*map(Path, given.ledger)) if study["claims"] else None,
    )
    copies = zip(map(Path, given.shown), map(Path, made.shown), strict=True)
    publish(study, Path(made.study), page, Path(made.page), copies)
