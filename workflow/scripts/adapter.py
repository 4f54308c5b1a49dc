"""Turns a rule's `snakemake` object into the library's requests; used by the scripts here."""

from pathlib import Path
from typing import Any

import process  # noqa: F401  before torch, which the imports below load

from incbayes.inference.listener import Listener
from incbayes.inference.settings import StageSettings
from incbayes.jobs.fit import Lineage, StageOutputs
from incbayes.jobs.part import PartRequest
from incbayes.jobs.request import BlockRequest, ChainRequest, Machine
from incbayes.jobs.sources import SourceFiles
from incbayes.study.model.base import KindSpec, read
from incbayes.study.model.partition import PartitionSettings


def block_request(snakemake: Any, method: str, parts: int) -> BlockRequest:
    """Return the request of a rule with the params `block`, `settings` and `code`."""
    return BlockRequest(
        **_chain(snakemake, method),
        parts=parts,
        data=Path(snakemake.input.checksums).parent,
        partition=read(PartitionSettings, snakemake.params.block["partition"]),
        parts_file=Path(snakemake.input.parts),
    )


def part_request(snakemake: Any) -> PartRequest:
    """Return the request of a rule with the params `block`, `settings`, `parts` and `code`."""
    experiment = snakemake.config["experiments"][snakemake.wildcards.experiment]
    return PartRequest(
        **_chain(snakemake, snakemake.wildcards.method),
        **snakemake.params.parts,
        data=Path(snakemake.input.checksums).parent,
        # Of the config, and no param: it makes nothing anew.
        duplicates=experiment["dataset"]["duplicates"],
    )


def source_request(snakemake: Any, method: str) -> ChainRequest:
    """Return the request of a rule for what a first prior is made from; of a stream, its part 1."""
    part = snakemake.params.get("part")
    if part is None:
        return block_request(snakemake, method, 1)
    folder = Path(snakemake.input.checksums).parent
    return PartRequest(**_chain(snakemake, method), part=part, data=folder)


def _chain(snakemake: Any, method: str) -> dict[str, Any]:
    """Return what a request says of its chain."""
    block, settings = snakemake.params.block, snakemake.params.settings
    source = snakemake.input.get("source_checksums")
    described = {**settings, "model": block["model"], "likelihood": block["likelihood"]}
    return {
        "study": block["study"],
        "experiment": snakemake.wildcards.experiment,
        "method": method,
        "replicates": block["replicates"],
        "seed": block["seed"],
        "budget": block["budget"],
        "settings": StageSettings.of(described),
        "pixels": KindSpec.of(block["pixels"]),
        "code": snakemake.params.code,
        "pretrained": block["pretrained"],
        "source_data": Path(source).parent if source else None,
    }


def machine(snakemake: Any, listener: Listener) -> Machine:
    """Return where the job runs, from the config and the rule's threads, and who hears of it."""
    settings = snakemake.config["machine"]
    return Machine(threads=snakemake.threads, listener=listener, **settings)


def source_files(snakemake: Any) -> SourceFiles:
    """Return the source task's files among the rule's inputs; an empty input is None."""

    def path(name: str) -> Path | None:
        value = getattr(snakemake.input, name, None)
        return Path(value) if value else None

    return SourceFiles(path("weights"), path("fisher"), path("variance"))


def lineage(snakemake: Any) -> Lineage:
    """Return what a stage follows from, of the inputs of its rule and its param `continues`."""
    parent, continued = snakemake.input.parent, snakemake.params.continues
    return Lineage(
        Path(parent) if parent else None,
        source_files(snakemake),
        {Path(path): sha256 for path, sha256 in continued.items()},
    )


def stage_outputs(snakemake: Any) -> StageOutputs:
    """Return the output files of a rule that fits."""
    output = snakemake.output
    return StageOutputs(Path(output.posterior), Path(output.training), Path(output.run))
