"""What a study states of a table, whether it is there as a whole or arrives in parts."""

from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any

from incbayes.core.options import option
from incbayes.data.columns import TableColumns


def target_option() -> Any:
    """Return the option that names what is predicted."""
    return option(MISSING, "Name of the column that is predicted.")


def features_option() -> Any:
    """Return the option that names what it is predicted from."""
    return option(
        MISSING,
        "Names of the columns that it is predicted from, in the order of the network.",
        minItems=1,
    )


def classes_option() -> Any:
    """Return the option that says what the target may be."""
    return option(
        None,
        "The values of the target; the number of a class is its place in this list, from 0. null: "
        "the target is a number.",
        minItems=2,
    )


def categories_option() -> Any:
    """Return the option that says which features are no numbers."""
    return option(
        {},
        "By feature, the values of one that is no number. A value that is not stated is refused.",
    )


def missing_option() -> Any:
    """Return the option that says what becomes of a feature without a value."""
    return option(
        "refuse",
        "What to do where a feature has no value (empty, `NA`, `NaN`, `null`). `mean`: a number "
        "becomes the mean of the rows that the columns are standardised by, and a category none of "
        "its values. A target without a value is refused.",
    )


def stated_columns(options: Mapping[str, Any]) -> TableColumns:
    """Return the columns that these options state, by name."""
    return TableColumns.of({key: options[key] for key in TableColumns.__dataclass_fields__})
