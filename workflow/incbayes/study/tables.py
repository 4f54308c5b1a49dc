"""What a study says of a table: its columns, what they become, and where its files lie.

It looks at names of files, and reads none but to count rows.
"""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from incbayes.core.fractions import images_in
from incbayes.study.counting import count_rows
from incbayes.study.merging import Plain
from incbayes.study.model import KindSpec
from incbayes.study.schema import kind_constraints
from incbayes.study.user_paths import expanded

MOST_COLUMNS = 10_000
"""Of a table, once categories are columns of their own."""

SOURCES = ("source", "test_source")
"""Options that name files."""

WILD = frozenset("*?[")
"""Characters that make a path a pattern."""

USUAL_SHARE = 0.2
"""Share of the rows that are held out to score on where there are no others and none is stated."""

SCALING, OF_A_NUMBER = "columns", "gaussian"
"""What a table, and a target that is a number, have where a study does not say."""


def is_table(dataset: KindSpec) -> bool:
    """Return whether a data set has rows and columns, and no images."""
    return bool(kind_constraints("dataset", dataset.kind).get("table", False))


def is_number(dataset: KindSpec) -> bool:
    """Return whether what is to be predicted is a number, and no class."""
    if "target" in dataset.options:
        return dataset.options["classes"] is None
    return bool(kind_constraints("dataset", dataset.kind).get("number", False))


def encoded_columns(
    features: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> list[tuple[str, str | None]]:
    """Return the columns that a network sees: feature, and the category that it is 1 for.

    A feature with categories becomes a column for each of them; another stays one, with None.
    """
    return [
        (feature, category) for feature in features for category in categories.get(feature, (None,))
    ]


def stated_facts(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `data_constraints` says of a table of the user's own, but for its rows.

    A number counts as one class, named as the target is.
    """
    columns = encoded_columns(options["features"], options["categories"])
    classes = options["classes"]
    return {
        "shape": [len(columns), 1, 1],
        "classes": [options["target"]] if classes is None else classes,
        "number": classes is None,
        "train": None,
        "test": None,
    }


def rows_held_out(options: Mapping[str, Any], rows: int) -> int:
    """Return how many rows of a table's source are held out to score on.

    Args:
        options: of the table.
        rows: of its source.
    """
    if options["test_source"] is not None:
        return 0
    stated = options["test_share"]
    return images_in(USUAL_SHARE if stated is None else stated, rows)


def counted_rows(dataset: KindSpec, data_root: Path) -> dict[str, int]:
    """Return how many rows of a table there are to fit and to score; nothing if it is not known.

    Raises:
        StudyError: a path cannot be expanded.
    """
    sources = stated_sources(dataset, data_root)
    counts = {key: count_rows(table_files(source)) for key, source in sources.items()}
    rows = counts[SOURCES[0]]
    if rows is None:
        return {}
    held_out = rows_held_out(dataset.options, rows)
    test = counts.get(SOURCES[1], held_out)
    found = {"train": rows - held_out, "test": test}
    return {split: number for split, number in found.items() if number is not None}


def complete_table(experiment: Plain) -> None:
    """Give an experiment on a table what suits it, in place: scaling, likelihood, its columns.

    Args:
        experiment: expanded and checked against the schema.
    """
    dataset = experiment["dataset"]
    if not is_table(KindSpec.of(dataset)):
        return
    experiment.setdefault("pixels", {"kind": SCALING})
    if is_number(KindSpec.of({"classes": None, **dataset})):
        experiment.setdefault("likelihood", {"kind": OF_A_NUMBER})
    model = experiment["model"]
    key = kind_constraints("model", model["kind"]).get("columns")
    if key is not None:
        model.setdefault(key, None)
        model[key] = model[key] or counted_categories(KindSpec.of(dataset))


def counted_categories(dataset: KindSpec) -> list[int]:
    """Return by feature of a table the number of its categories, 0 of a number."""
    stated = dataset.options
    if "features" not in stated:
        return [0] * kind_constraints("dataset", dataset.kind)["shape"][0]
    return [len(stated.get("categories", {}).get(name, ())) for name in stated["features"]]


def table_files(path: Path) -> list[Path]:
    """Return the files that a path, or a pattern such as `parts/*.csv`, names, in order of name."""
    if path.exists() or not WILD & set(str(path)):
        return [path] if path.exists() else []
    return [Path(name) for name in sorted(glob.glob(str(path)))]


def stated_sources(dataset: KindSpec, data_root: Path) -> dict[str, Path]:
    """Return the paths, or patterns, of the files of a table by their key.

    Raises:
        StudyError: one cannot be expanded.
    """
    named = {key: dataset.options.get(key) for key in SOURCES}
    return {key: data_root / expanded(name, (key,)) for key, name in named.items() if name}
