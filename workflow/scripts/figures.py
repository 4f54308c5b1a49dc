"""Adapter of rule figures."""

from pathlib import Path

from process import job

from incbayes.figures.draw import FigureSources, draw_figures
from incbayes.report.escapes import from_scripts
from incbayes.study.model import study_of

with job(snakemake, "figures") as console:
    given = snakemake.input
    study = study_of(from_scripts(snakemake.params.study))
    sources = FigureSources(
        Path(given.records), map(Path, given.training), map(Path, given.calibration)
    )
    for name in draw_figures(study, sources, Path(snakemake.output.seal), snakemake.threads):
        console.log(name)
