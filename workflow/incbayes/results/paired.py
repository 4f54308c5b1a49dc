"""Differences that are paired on replicates: two chains of one seed see the same parts."""

from collections.abc import Sequence

import pandas as pd


def paired_differences(frame: pd.DataFrame, base: pd.DataFrame, on: Sequence[str]) -> pd.DataFrame:
    """Return the rows of `frame`, with `value` minus that of the row of `base` that agrees in `on`.

    Args:
        frame: one row a replicate, with the columns `on` and `value`.
        base: likewise; at most one row for each `on`.
        on: columns that name a pair, the replicate among them.

    Returns:
        The rows that have a partner.

    Raises:
        MergeError: two rows of `base` agree in `on`.
    """
    partners = base[[*on, "value"]].rename(columns={"value": "_partner"})
    pairs = frame.merge(partners, on=list(on), validate="many_to_one")
    return pairs.assign(value=pairs["value"] - pairs.pop("_partner"))
