"""Adapter of rule figures."""

from pathlib import Path

from incbayes.collect import collect_calibration, collect_training, read_records
from incbayes.figures import FIGURES
from incbayes.figures.figure import Frames, context_of, write_figure
from incbayes.jobs.console import job

with job("figures", snakemake.log[0]) as console:
    frames = Frames(
        read_records(Path(snakemake.input.records)),
        collect_training(map(Path, snakemake.input.training)),
        collect_calibration(map(Path, snakemake.input.calibration)),
    )
    context = context_of(snakemake.params.study)
    for name in FIGURES:
        write_figure(name, frames, context, Path(snakemake.output.svg[0]).parent)
        console.say(name)
