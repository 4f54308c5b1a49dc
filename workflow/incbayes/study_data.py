"""What a study says of its data sets: shape, classes and sizes, and where their files lie.

Most kinds declare what they hold; of images of one's own the study states it, as options. Either
is known while a workflow is planned, without a look at the data.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from incbayes.study_file import StudyError, shown
from incbayes.study_schema import kind_constraints

Experiments = Mapping[str, Mapping[str, Any]]
Dataset = Mapping[str, Any]

STATED = ("shape", "classes", "train", "test")
"""Options of a data set that take the place of the constraints of its kind."""

LONGEST_STEM = 40


def data_constraints(dataset: Dataset) -> dict[str, Any]:
    """Return `shape` [C, H, W], `classes` (names), and numbers of images `train` and `test`.

    Args:
        dataset: `{"kind": …, options}`.
    """
    stated = {key: dataset[key] for key in STATED if key in dataset}
    return kind_constraints("dataset", dataset["kind"]) | stated


def data_name(dataset: Dataset) -> str:
    """Return the name of the folder that holds the prepared files, under `results/data`.

    That is the kind; for images of one's own the source's name and a digest of what is stated of
    them, so that two sets never share a folder.

    Args:
        dataset: `{"kind": …, options}`.
    """
    if "source" not in dataset:
        return dataset["kind"]
    stem = re.sub(r"\.(zip|tar|tar\.gz|tgz)$", "", Path(dataset["source"]).name.lower())
    plain = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:LONGEST_STEM] or "images"
    digest = hashlib.sha256(json.dumps(dataset, sort_keys=True).encode()).hexdigest()
    return f"{plain}_{digest[:8]}"


def data_sets(experiments: Experiments) -> dict[str, Dataset]:
    """Return the data sets of experiments by the name of their folder."""
    used = [experiment["dataset"] for experiment in experiments.values()]
    return {data_name(dataset): dataset for dataset in used}


def source_files(dataset: Dataset, data_root: Path) -> list[Path]:
    """Return whose time stamps say that a data set has to be prepared again.

    An archive stands for itself. Of a folder these are the folders of the classes, which change
    when an image is added, removed or renamed; one that is replaced in place goes unnoticed. A
    kind that brings its own data has none.

    Args:
        dataset: `{"kind": …, options}`.
        data_root: what a relative source is relative to.
    """
    if "source" not in dataset:
        return []
    source = data_root / dataset["source"]
    if not source.is_dir():
        return [source]
    inner = [path for path in source.iterdir() if not path.name.startswith(".")]
    root = source if (source / "train").is_dir() or len(inner) != 1 else inner[0]
    folders = [root / split / name for split in ("train", "test") for name in dataset["classes"]]
    return [folder for folder in folders if folder.is_dir()]


def check_sources(experiments: Experiments, data_root: Path, prepared: Path) -> None:
    """Check that the sources are there of all images that are not prepared yet.

    Args:
        experiments: of a study in normal form, by name.
        data_root: what a relative source is relative to.
        prepared: the folder of all prepared data sets.

    Raises:
        StudyError: naming the first experiment whose source is absent.
    """
    for name, experiment in experiments.items():
        dataset = experiment["dataset"]
        if "source" not in dataset or (prepared / data_name(dataset) / "checksums.json").is_file():
            continue
        source = data_root / dataset["source"]
        if not source.exists():
            raise StudyError(
                ("experiments", name, "dataset", "source"),
                f"found {shown(dataset['source'])}, but there is no {source}; give a path that is "
                f"absolute or relative to the key data_root, now {data_root}",
            )
