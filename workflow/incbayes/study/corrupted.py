"""Corrupted copies of test images in files: their names and paths, and a check while planning.

Of the files it reads the heads, which say what they hold; whose images they are is found as they
are prepared, beside the test images.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from incbayes.core.npy import NpyError, open_array
from incbayes.study.datasets import LONGEST_STEM, data_constraints, data_name
from incbayes.study.model import Experiment, KindSpec
from incbayes.study.schema import kind_constraints
from incbayes.study.shifts import stored_among
from incbayes.study.user_paths import expanded, taken_for_a_name
from incbayes.study.yaml import KeyPath, StudyError, shown

MOST_NAMED = 3
"""Files that a message names of those that are missing."""


@dataclass(frozen=True)
class CorruptedSet:
    """Corrupted copies of the test images of a data set.

    Attributes:
        dataset: whose test images these are.
        shift: with its options.
    """

    dataset: KindSpec
    shift: KindSpec

    @property
    def prepared(self) -> KindSpec:
        """The shift without its levels, as all of them are prepared."""
        options = {key: self.shift.options[key] for key in ("source", "names")}
        return KindSpec(self.shift.kind, options)

    @property
    def name(self) -> str:
        """The name of the folder that holds what is prepared, under `results/data`.

        That of the source and a digest of what is stated but the levels.
        """
        stem = re.sub(r"[^a-z0-9]+", "_", Path(self.prepared.options["source"]).name.lower())
        stem = stem.strip("_")[:LONGEST_STEM] or "corrupted"
        stated = [data_name(self.dataset), dict(self.prepared)]
        digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
        return f"{stem}_{digest[:8]}"


def strengths_of(shift: KindSpec) -> int:
    """Return how often every test image is in a file of a shift."""
    number: int = kind_constraints("shifts", shift.kind)["strengths"]
    return number


def source_folder(shift: KindSpec, data_root: Path, key: KeyPath = ("source",)) -> Path:
    """Return the folder of the files of a shift.

    Args:
        shift: with its options.
        data_root: what a relative source is relative to.
        key: of the study, for a message.

    Raises:
        StudyError: the path names a variable that is not set, or an unknown user.
    """
    return data_root / expanded(shift.options["source"], key)


def corruption_files(shift: KindSpec, folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return the files with the images and the labels of each corruption, by its name."""
    facts = kind_constraints("shifts", shift.kind)
    patterns = facts["images"], facts["labels"]
    found = {}
    for name in shift.options["names"]:
        images, labels = (folder / pattern.format(name=name) for pattern in patterns)
        found[name] = (images, labels)
    return found


def corruption_roots(shift: KindSpec, data_root: Path) -> list[Path]:
    """Return the files of all corruptions, each once.

    Raises:
        StudyError: as in `source_folder`.
    """
    files = corruption_files(shift, source_folder(shift, data_root)).values()
    return list(dict.fromkeys(path for pair in files for path in pair))


def corrupted_sets(experiments: Mapping[str, Experiment]) -> dict[str, CorruptedSet]:
    """Return the corrupted copies that experiments are scored on, by the name of their folder."""
    found = [each for experiment in experiments.values() for each in copies_of(experiment).values()]
    return {each.name: each for each in found}


def copies_of(experiment: Experiment) -> dict[str, CorruptedSet]:
    """Return the corrupted copies that an experiment is scored on, by the name of the shift."""
    stored = stored_among(experiment.image_shifts)
    return {which: CorruptedSet(experiment.dataset, shift) for which, shift in stored.items()}


def check_corrupted(
    experiments: Mapping[str, Experiment], wanted: str, data_root: Path, prepared: Path
) -> None:
    """Check the files of corrupted copies, as far as their heads say what they hold.

    Args:
        experiments: of a study in normal form, by name.
        wanted: name of the copies' folder.
        data_root: what a relative source is relative to.
        prepared: the folder of all prepared data sets.

    Raises:
        StudyError: naming the first experiment with such copies, and what is wrong.
    """
    for name, experiment in experiments.items():
        for which, found in copies_of(experiment).items():
            if found.name == wanted:
                key = ("experiments", name, "shifts", which, "source")
                _check_files(key, found, data_root, prepared)
                return


def _check_files(key: KeyPath, found: CorruptedSet, data_root: Path, prepared: Path) -> None:
    folder = source_folder(found.shift, data_root, key)
    if taken := taken_for_a_name(folder):
        raise StudyError(
            key,
            f"{folder} holds {taken}, which Snakemake replaces; rename the folder, or give a "
            "symbolic link to it",
        )
    files = corruption_files(found.shift, folder)
    paths = list(dict.fromkeys(path for pair in files.values() for path in pair))
    missing = [path for path in paths if not path.is_file()]
    if missing and (prepared / found.name / "checksums.json").is_file():
        return
    if not folder.is_dir():
        raise StudyError(
            key,
            f"found {shown(found.shift.options['source'])}, but there is no folder {folder}; give "
            f"a path that is absolute or relative to the key data_root, now {data_root}",
        )
    if missing:
        named = ", ".join(str(path.relative_to(folder)) for path in missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise StudyError(
            key,
            f"{folder} lacks {named}{more}; unpack the whole archive there, or state as names "
            "those that are to be scored",
        )
    facts = data_constraints(found.dataset, str(data_root))
    try:
        for images, labels in files.values():
            check_forms(images, labels, strengths_of(found.shift), (facts["test"], *facts["shape"]))
    except NpyError as error:
        raise StudyError(key, str(error)) from None


def check_forms(
    images: Path, labels: Path, strengths: int, test: tuple[int | None, int, int, int]
) -> None:
    """Check that two files are as images of a test set at so many strengths, and their labels.

    Args:
        images: file of them.
        labels: file of theirs.
        strengths: how often every image is there.
        test: [N, C, H, W] of the test images; N is None where it is not known.

    Raises:
        NpyError: one is missing, damaged, or of another type or shape.
    """
    number, channels, *sides = test
    copies = None if number is None else strengths * number
    open_array(images, [copies, *sides, channels], "u1")
    open_array(labels, [copies], "iu")
