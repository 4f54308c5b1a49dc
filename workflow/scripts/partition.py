"""Adapter of rule partition."""

from functools import partial
from pathlib import Path

from process import job

from incbayes.data.partition import partition, write_partitions
from incbayes.data.prepared import load_checksums, read_labels
from incbayes.data.validation import partition_with_validation, write_validation_partitions
from incbayes.streams import numpy_stream

experiment, number = snakemake.wildcards.experiment, int(snakemake.wildcards.T)
with job(snakemake, f"{experiment} parts T{number} {snakemake.wildcards.block}"):
    checksums = load_checksums(Path(snakemake.input.checksums))
    labels = read_labels(snakemake.input.train, checksums["train"]["sha256"])
    described = (labels, len(checksums["classes"]))
    settings = {"parts": number, **snakemake.params.partition}
    streams = {
        replicate: partial(numpy_stream, snakemake.params.seed, experiment, replicate)
        for replicate in snakemake.params.replicates
    }
    if "validation" in settings:
        cuts = {
            replicate: partition_with_validation(*described, **settings, stream=stream)
            for replicate, stream in streams.items()
        }
        write_validation_partitions(snakemake.output[0], cuts)
    else:
        cuts = {
            replicate: partition(
                *described, **settings, rng_source=stream("source"), rng_parts=stream("parts")
            )
            for replicate, stream in streams.items()
        }
        write_partitions(snakemake.output[0], cuts)
