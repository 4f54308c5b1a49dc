"""Adapter of rule figures."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from process import job

from incbayes.collect import collect_calibration, collect_training, read_records
from incbayes.figures import FIGURES
from incbayes.figures.figure import Frames, context_of, figure_numbers, load_drawing, write_figure


def draw(name):
    """Draw one figure of `frames`, in a process of its own."""
    write_figure(name, figure_numbers(name, frames, context), context, folder)


with job(snakemake, "figures") as console:
    frames = Frames(
        read_records(Path(snakemake.input.records)),
        collect_training(map(Path, snakemake.input.training)),
        collect_calibration(map(Path, snakemake.input.calibration)),
    )
    context = context_of(snakemake.params.study)
    folder = Path(snakemake.output.svg[0]).parent
    load_drawing()
    # Forked, so that what took seconds to import and to read is there already.
    forked = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(snakemake.threads, mp_context=forked) as pool:
        for name, _ in zip(FIGURES, pool.map(draw, FIGURES), strict=True):
            console.say(name)
