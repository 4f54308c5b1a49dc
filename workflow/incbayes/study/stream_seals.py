"""Of which data set a stage of a stream is, by its seal.

The seal says what the study stated of the data set. Seals that were written before they said so
name the folder of the prepared part, whose name follows from the same options.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from incbayes.core.seal import Seal
from incbayes.study.datasets import data_name, stated_options
from incbayes.study.model import KindSpec, to_plain
from incbayes.study.schema import kind_defaults
from incbayes.study.yaml import shown

DATASET = "dataset"
"""What a seal says of the data set: `kind` and the options that its prepared files depend on."""


def stated_data(dataset: KindSpec) -> dict[str, Any]:
    """Return what the seals of stages over a stream say of its data set, as JSON values."""
    return to_plain(stated_options(dataset))


def data_folder(seal: Seal) -> str | None:
    """Return the name of the folder of the prepared data set that a stage was fitted to.

    Args:
        seal: of a stage of a stream.
    """
    images = seal.parents.get("images")
    parts = PurePath(images.path).parts if images else ()
    return parts[-4] if len(parts) >= 4 else None  # NAME/parts/PART/checksums.json


def other_data(seal: Seal, dataset: KindSpec) -> str | None:
    """Return in what a stage's data set is another one, with both values; None where in nothing.

    Args:
        seal: of the stage.
        dataset: as the study states it.
    """
    found, meant = seal.identity.get(DATASET), stated_data(dataset)
    if not isinstance(found, dict):
        folder, name = data_folder(seal), data_name(dataset)
        if folder in (None, name):
            return None
        return (
            f"it was fitted to the data set {folder}, and the options of the key dataset are now "
            f"those of {name}"
        )
    if found == meant:
        return None
    was, now = (_with_defaults(stated) for stated in (found, meant))
    key = next(key for key in sorted({*was, *now}) if was.get(key) != now.get(key))
    return (
        f"it was fitted with dataset.{key} {shown(was.get(key))}, and the study says "
        f"{shown(now.get(key))}"
    )


def _with_defaults(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {**to_plain(kind_defaults("dataset", stated["kind"])), **stated}
