"""Adapter of rule partition."""

from pathlib import Path

from process import job

from incbayes.data.partition import partition, write_partitions
from incbayes.data.prepared import load_checksums, read_labels
from incbayes.streams import numpy_stream

experiment, number = snakemake.wildcards.experiment, int(snakemake.wildcards.T)
with job(snakemake, f"{experiment} parts T{number} {snakemake.wildcards.block}"):
    checksums = load_checksums(Path(snakemake.input.checksums))
    labels = read_labels(snakemake.input.train, checksums["train"]["sha256"])
    cuts = {
        replicate: partition(
            labels,
            len(checksums["classes"]),
            parts=number,
            **snakemake.params.partition,
            rng_source=numpy_stream(snakemake.params.seed, experiment, replicate, "source"),
            rng_parts=numpy_stream(snakemake.params.seed, experiment, replicate, "parts"),
        )
        for replicate in snakemake.params.replicates
    }
    write_partitions(snakemake.output[0], cuts)
