"""Adapter of rule publish."""

from pathlib import Path

from msgspec.structs import replace
from process import job

from incbayes.publication.add import RunFiles, add_run
from incbayes.study.model import study_of

with job(snakemake, "publication") as console:
    given, params = snakemake.input, snakemake.params
    files = RunFiles(
        records=Path(given.records),
        training=[Path(path) for path in given.training],
        calibration=[Path(path) for path in given.calibration],
        evidence=[Path(path) for path in given.evidence],
        numbers=[Path(path) for path in given.numbers],
        figures=Path(given.figures_seal),
        provenance=Path(given.provenance),
    )
    # What is shown of a study does not say how it is published.
    study = replace(study_of(params.study), other_code=params.other_code)
    for line in add_run(study, files, Path(params.folder), Path(params.benchmarks)):
        console.log(line)
