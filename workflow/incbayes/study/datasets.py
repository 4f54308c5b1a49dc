"""What a study says of its data sets: shape, classes and sizes, and where their files lie.

Most kinds declare what they hold; of images of one's own the study states it, as options. Either
is known while a workflow is planned, without a look at the data. Numbers of images that a study
leaves open are counted in the listing of the source, where there is one.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incbayes.study.counting import SPLITS, count_images
from incbayes.study.model import Experiment, KindSpec, Study
from incbayes.study.outliers import data_sets_among
from incbayes.study.schema import kind_constraints, kind_defaults
from incbayes.study.source_state import read_record
from incbayes.study.streams import arrives
from incbayes.study.tables import counted_rows, is_table, stated_facts, stated_sources, table_files
from incbayes.study.user_paths import expanded, taken_for_a_name
from incbayes.study.yaml import KeyPath, StudyError, shown

Experiments = Mapping[str, Experiment]

STATED = ("shape", "classes", "train", "test")
"""Options of a data set that take the place of the constraints of its kind."""

AUTO = "auto"
"""In place of a number of images: it is counted."""

LARGEST_PART, TAKEN_BACK, DUPLICATES = "largest_part", "without", "duplicates"
"""Options of a stream that its files do not depend on: how many images a part may hold, for what is
asked of a cluster, which parts are not to count, and whether they may have images in common."""

LONGEST_STEM = 40

ENDING = re.compile(r"\.(zip|tar|tar\.gz|tgz|csv|parquet)$")


@dataclass
class PreparedPlace:
    """Where prepared data sets lie, which of a module is below its prefix.

    Attributes:
        folder: of all of them.
    """

    folder: Path


PREPARED = PreparedPlace(Path("results/data"))


def data_constraints(dataset: KindSpec, data_root: str | None = None) -> dict[str, Any]:
    """Return `shape` [C, H, W], `classes` (names), and numbers of images `train` and `test`.

    Of a table also `table`, true, and where the target is a number `number`, true; its shape is
    [columns, 1, 1], and its number is one class. A number of images is None where the study leaves
    it to be counted and it is not known yet: the source is absent and was never prepared, holds
    none, is a tar archive, or a CSV that is too large to be read while planning. Of a source that
    is gone the numbers are those that were known when it was prepared.

    Args:
        dataset: with its options.
        data_root: as the study gives it; without it nothing is counted.
    """
    stated = {key: dataset.options[key] for key in STATED if key in dataset.options}
    stated_sizes: dict[str, Any] = {}
    if LARGEST_PART in dataset.options:
        stated_sizes = dict.fromkeys(SPLITS, dataset.options[LARGEST_PART])
    facts = kind_constraints("dataset", dataset.kind) | stated | stated_sizes
    if "target" in dataset.options:
        counted = {} if stated_sizes or data_root is None else _counted_rows(dataset, data_root)
        return facts | stated_facts(dataset.options) | stated_sizes | counted
    if AUTO in (facts["train"], facts["test"]):
        found = {} if data_root is None else _counted(dataset, data_root)
        facts |= {split: found.get(split) or None for split in SPLITS if facts[split] == AUTO}
    return facts


def _counted_rows(dataset: KindSpec, data_root: str) -> dict[str, int]:
    """Return the numbers of rows of a table; nothing where they are not known."""
    try:
        root = expanded(data_root, ("data_root",))
        if is_gone(dataset, root):
            return _counted_before(dataset)
        return counted_rows(dataset, root)
    except StudyError:  # which is said where the source is needed
        return {}


def _counted(dataset: KindSpec, data_root: str) -> dict[str, int]:
    """Return the numbers of images that a source lists; nothing where they are not known."""
    try:
        root = expanded(data_root, ("data_root",))
        (source,) = source_files(dataset, root)
    except StudyError:  # which is said where the source is needed
        return {}
    if is_gone(dataset, root):
        return _counted_before(dataset)
    return count_images(source, dataset.options["classes"]) or {}


def _counted_before(dataset: KindSpec) -> dict[str, int]:
    """Return the numbers that were known of a source when it was prepared, as it is gone now."""
    record = read_record(PREPARED.folder / data_name(dataset))
    counted = record.counted if record else {}
    return {split: number for split, number in counted.items() if number}


def is_gone(dataset: KindSpec, data_root: Path) -> bool:
    """Return whether a data set is of a user's files, one of which is not there.

    Raises:
        StudyError: a path cannot be expanded.
    """
    try:
        return not all(root.exists() for root in source_files(dataset, data_root))
    except OSError:  # which is said where the source is needed
        return False


def is_gone_unrecorded(dataset: KindSpec, data_root: str) -> bool:
    """Return whether the source of a data set is gone, and no record says what it held."""
    try:
        gone = is_gone(dataset, expanded(data_root, ("data_root",)))
    except StudyError:  # which is said where the source is needed
        return False
    return gone and read_record(PREPARED.folder / data_name(dataset)) is None


def data_name(dataset: KindSpec) -> str:
    """Return the name of the folder that holds the prepared files, under `results/data`.

    That is the kind; for images of one's own the source's name and a digest of what is stated of
    them, so that two sets never share a folder. Options at their default do not count: the name
    stays when a later version knows more of them.
    """
    if "source" not in dataset.options:
        return dataset.kind
    stem = ENDING.sub("", Path(dataset.options["source"]).name.lower())
    plain = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:LONGEST_STEM]
    plain = plain or ("table" if is_table(dataset) else "images")
    stated = json.dumps(stated_options(dataset), sort_keys=True)
    return f"{plain}_{hashlib.sha256(stated.encode()).hexdigest()[:8]}"


def stated_options(dataset: KindSpec) -> dict[str, Any]:
    """Return `kind` and the options that prepared files depend on, but for those at a default."""
    defaults = kind_defaults("dataset", dataset.kind)
    apart = (LARGEST_PART, TAKEN_BACK, DUPLICATES) if arrives(dataset) else ()
    return {
        key: value
        for key, value in dataset.items()
        if key not in apart and (key not in defaults or value != defaults[key])
    }


def data_sets(experiments: Experiments) -> dict[str, KindSpec]:
    """Return the data sets of experiments, and of their outliers, by the name of their folder."""
    used = [experiment.dataset for experiment in experiments.values()]
    for experiment in experiments.values():
        used += data_sets_among(experiment.outlier_sets).values()
    return {data_name(dataset): dataset for dataset in used}


def source_data_sets(experiments: Experiments) -> dict[str, KindSpec]:
    """Return what weights of files were fitted to, as `data_sets` does."""
    stated = [experiment.source_data for experiment in experiments.values()]
    return {data_name(dataset): dataset for dataset in stated if dataset is not None}


def data_root(study: Study) -> Path:
    """Return the folder of the raw data sets of a study in normal form.

    Raises:
        StudyError: it names a variable that is not set, or an unknown user.
    """
    return expanded(study.data_root, ("data_root",))


def source_files(dataset: KindSpec, data_root: Path) -> list[Path]:
    """Return the files and folders that hold all that a data set is prepared from.

    Their content counts, and not their age. Snakemake is told of them, and takes what was prepared
    as it is while one is not there: a file of a table that is gone is named, too. A kind that
    brings its own data has none.

    Args:
        dataset: with its options.
        data_root: what a relative source is relative to.

    Raises:
        StudyError: a path cannot be expanded.
    """
    if "source" not in dataset.options:
        return []
    if is_table(dataset):
        sources = stated_sources(dataset, data_root).values()
        return [file for source in sources for file in table_files(source) or [source]]
    return [data_root / expanded(dataset.options["source"], ("source",))]


def check_sources(experiments: Experiments, data_root: Path, prepared: Path) -> None:
    """Check that Snakemake can name the sources, and that those not prepared yet are there.

    Args:
        experiments: of a study in normal form, by name.
        data_root: what a relative source is relative to.
        prepared: the folder of all prepared data sets.

    Raises:
        StudyError: naming the first experiment whose source is absent, cannot be read, or has a
            path that Snakemake would change.
    """
    named: list[tuple[KeyPath, KindSpec]] = []
    for name, experiment in experiments.items():
        path = ("experiments", name)
        named.append(((*path, "dataset"), experiment.dataset))
        if experiment.source_data is not None:
            named.append(((*path, "pretrain", "data"), experiment.source_data))
        outliers = data_sets_among(experiment.outlier_sets)
        named += [((*path, "outliers", of), spec) for of, spec in outliers.items()]
    for key, dataset in named:
        _check_source(key, dataset, data_root, prepared)


def _check_source(path: KeyPath, dataset: KindSpec, data_root: Path, prepared: Path) -> None:
    """Check the source of one data set."""
    if "source" not in dataset.options or arrives(dataset):
        return
    if is_table(dataset):
        _check_table(path, dataset, data_root, prepared)
        return
    key = (*path, "source")
    stated = dataset.options["source"]
    source = data_root / expanded(stated, key)
    try:
        there = source.exists()
        if source.is_dir():
            os.scandir(source).close()
    except OSError as error:
        cause = error.strerror or error
        raise StudyError(key, f"{source} cannot be read ({cause})") from None
    _check_name(key, source)
    if not there and not (prepared / data_name(dataset) / "checksums.json").is_file():
        raise StudyError(
            key,
            f"found {shown(stated)}, but there is no {source}; give a path that is "
            f"absolute or relative to the key data_root, now {data_root}",
        )


def _check_table(key: KeyPath, dataset: KindSpec, data_root: Path, prepared: Path) -> None:
    """Check the sources of a table: each is there, or was prepared, and Snakemake can name it."""
    is_prepared = (prepared / data_name(dataset) / "checksums.json").is_file()
    for option, source in stated_sources(dataset, data_root).items():
        files = table_files(source)
        for file in files:
            _check_name((*key, option), file)
        if not files and not is_prepared:
            raise StudyError(
                (*key, option),
                f"found {shown(dataset.options[option])}, but there is no {source}; give a path "
                "or a pattern, such as parts/*.csv, that is absolute or relative to the key "
                f"data_root, now {data_root}",
            )


def _check_name(key: KeyPath, source: Path) -> None:
    """Check that a source has no path that Snakemake would change."""
    if name := taken_for_a_name(source):
        raise StudyError(
            key,
            f"{source} holds {name}, which Snakemake replaces; rename the folder, or give a "
            "symbolic link to it",
        )
