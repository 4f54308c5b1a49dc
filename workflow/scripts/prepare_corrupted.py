"""Adapter of rule prepare_corrupted."""

from pathlib import Path

from process import job

from incbayes.data.corrupted import CorruptedFiles, prepare_corrupted
from incbayes.study.corrupted import corruption_files, source_folder, strengths_of
from incbayes.study.model.base import KindSpec
from incbayes.study.source_state import recorded

with job(snakemake, f"data {snakemake.wildcards.corrupted}") as console:
    shift = KindSpec.of(snakemake.params.shift)
    source = source_folder(shift, Path(snakemake.config["data_root"]))
    folder = Path(snakemake.output.checksums).parent
    with recorded(snakemake.params.state, snakemake.input.files, folder):
        prepare_corrupted(
            CorruptedFiles(corruption_files(shift, source), strengths_of(shift)),
            Path(snakemake.input.checksums).parent,
            folder,
            console.log,
        )
