"""Which posterior files a prior goes on from, found while a study is planned.

Knows how a chain lies on disk; it opens no posterior.
"""

import os
import re
from functools import cache
from pathlib import Path

from incbayes.core.files import sha256_file
from incbayes.study.blocks import block_replicates
from incbayes.study.model import KindSpec
from incbayes.study.settings import prior_option
from incbayes.study.user_paths import named_path
from incbayes.study.yaml import KeyPath, StudyError, shown

POSTERIOR = "posterior.safetensors"
STAGE = re.compile(r"t\d\d+")


def continued_path(prior: KindSpec, key: KeyPath) -> Path | None:
    """Return the file or folder that a prior goes on from; None of another prior.

    Args:
        prior: complete.
        key: of the prior in the study, for the message.

    Raises:
        StudyError: it cannot be expanded, or Snakemake would change it.
    """
    stated = prior_option(prior, "continues")
    if stated is None:
        return None
    here = (*key, "continue_from")
    if not stated.strip() or "\n" in stated:
        raise StudyError(here, f"found {shown(stated)}; allowed: a path in one line, not empty")
    return named_path(stated, here)


def continued_files(prior: KindSpec, key: KeyPath) -> list[Path]:
    """Return the posterior files that a prior goes on from; none of another prior.

    Args: as of `continued_path`.

    Raises:
        StudyError: they are not there, the blocks of a chain end at different stages, or two of
            them are of one replicate.
    """
    path = continued_path(prior, key)
    if path is None:
        return []
    here = (*key, "continue_from")
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise StudyError(here, f"there is no {path}: neither a posterior nor the folder of a chain")
    last = {block: _last_stage(block) for block in sorted(path.iterdir()) if block.is_dir()}
    stages = {block: stage for block, stage in last.items() if stage is not None}
    if not stages:
        detail = f"{path} holds no BLOCK/tNN/{POSTERIOR}: not the folder of a chain"
        raise StudyError(here, detail)
    if len({stage.name for stage in stages.values()}) > 1:
        found = ", ".join(f"{block.name} at {stage.name}" for block, stage in stages.items())
        raise StudyError(here, f"{path} is not finished, its blocks are at other stages: {found}")
    _check_replicates(list(stages), here)
    return [stage / POSTERIOR for stage in stages.values()]


def _check_replicates(folders: list[Path], key: KeyPath) -> None:
    """Refuse blocks of a chain that share a replicate: one of them is of an earlier run."""
    held: dict[int, Path] = {}
    for folder in folders:
        try:
            replicates = block_replicates(folder.name)
        except ValueError:
            continue  # renamed: what it holds its file says
        for number in replicates:
            if number in held:
                raise StudyError(
                    key,
                    f"{held[number]} and {folder} are both of replicate {number}: blocks of runs "
                    "with another replicates_per_block; delete those that are of no use any more",
                )
            held[number] = folder


def continued_digests(files: list[str]) -> dict[str, str]:
    """Return the SHA-256 of each file, by its path."""
    return {path: _digest(path, os.stat(path).st_mtime_ns) for path in files}


@cache
def _digest(path: str, modified: int) -> str:
    return sha256_file(path)


def _last_stage(block: Path) -> Path | None:
    """Return the folder of the last stage of a block that has a posterior; None without one."""
    found = [
        stage
        for stage in block.iterdir()
        if STAGE.fullmatch(stage.name) and (stage / POSTERIOR).is_file()
    ]
    return max(found, key=lambda stage: int(stage.name[1:]), default=None)
