"""What a posterior file says of the table that it was fitted to, checked like all of a file."""

from typing import Any, get_args

from incbayes.data.columns import Missing, TableColumns
from incbayes.posterior.file import PosteriorError
from incbayes.study.tables import MOST_COLUMNS

KEYS = ("features", "categories", "target", "classes", "missing")


def described_columns(file: str, value: Any, shape: Any) -> TableColumns | None:
    """Return the columns of a table; None where a posterior says of none, as it is of images.

    Args:
        file: how errors name it.
        value: its metadata `table`.
        shape: of an input, as its metadata have it.

    Raises:
        PosteriorError: naming the file, where they are not columns, or are not of the shape.
    """
    if value is None:
        return None
    whole = isinstance(value, dict) and set(value) == set(KEYS) and _are_columns(value)
    columns = TableColumns.of(value) if whole else None
    if columns is None:
        raise PosteriorError(f"{file}: table is {str(value)[:80]!r}, expected the columns of one")
    count = sum(len(columns.categories.get(name, " ")) for name in columns.features)
    if count > MOST_COLUMNS or shape != [count, 1, 1]:
        raise PosteriorError(
            f"{file}: shape is {str(shape)[:80]}, but its table has {count} columns (at most "
            f"{MOST_COLUMNS})"
        )
    return columns


def _are_columns(value: dict[str, Any]) -> bool:
    """Return whether the values are of the types that they should be, and no name is twice."""
    categories, classes = value["categories"], value["classes"]
    return (
        _are_names(value["features"])
        and isinstance(value["target"], str)
        and isinstance(categories, dict)
        and set(categories) <= set(value["features"])
        and all(_are_names(names) for names in categories.values())
        and (classes is None or (_are_names(classes) and len(classes) > 1))
        and value["missing"] in get_args(Missing)
    )


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(name, str) for name in value)
        and len(set(value)) == len(value)
    )
