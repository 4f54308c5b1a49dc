"""Turns a rule's `snakemake` object into the library's requests; used by the scripts here."""

from pathlib import Path
from typing import Any

import process  # noqa: F401  before torch, which the imports below load

from incbayes.inference.stage import StageSettings
from incbayes.jobs.request import BlockRequest, Machine, SourceFiles
from incbayes.jobs.stage import StageOutputs


def block_request(snakemake: Any, method: str, parts: int) -> BlockRequest:
    """Return the request of a rule with the params `block`, `settings` and `code`."""
    block, settings = snakemake.params.block, snakemake.params.settings
    return BlockRequest(
        study=block["study"],
        experiment=snakemake.wildcards.experiment,
        method=method,
        parts=parts,
        replicates=block["replicates"],
        seed=block["seed"],
        budget=block["budget"],
        settings=StageSettings(**settings, model=block["model"]),
        pixels=block["pixels"],
        code=snakemake.params.code,
        data=Path(snakemake.input.checksums).parent,
        partition=Path(snakemake.input.parts),
    )


def machine(snakemake: Any) -> Machine:
    """Return where the job runs, from the config and the rule's threads."""
    return Machine(threads=snakemake.threads, **snakemake.config["machine"])


def source_files(snakemake: Any) -> SourceFiles:
    """Return the source task's files among the rule's inputs; an empty input is None."""

    def path(name: str) -> Path | None:
        value = getattr(snakemake.input, name, None)
        return Path(value) if value else None

    return SourceFiles(path("weights"), path("fisher"), path("variance"))


def stage_outputs(snakemake: Any) -> StageOutputs:
    """Return the output files of a rule that fits."""
    output = snakemake.output
    return StageOutputs(Path(output.posterior), Path(output.training), Path(output.run))
