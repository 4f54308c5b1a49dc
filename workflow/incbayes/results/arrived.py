"""T of a stream, the number of parts that have arrived: it grows, and no stage knows it."""

from collections.abc import Collection, Mapping

import pandas as pd

from incbayes.core.seal import Seal


def counted(frame: pd.DataFrame, streamed: Collection[str]) -> pd.DataFrame:
    """Return rows of stages with T of streams: the parts that have arrived, by now the last stage.

    A stage of a stream is sealed with T = t, as many parts as there were: it stays as it is when
    more arrive.

    Args:
        frame: with the columns `experiment`, `T` and `t`.
        streamed: names of the experiments over streams.
    """
    if not streamed or frame.empty:
        return frame
    last = frame.groupby("experiment")["t"].transform("max")
    return frame.assign(T=frame["T"].where(~frame["experiment"].isin(streamed), last))


def streamed(seals: Mapping[str, Seal]) -> set[str]:
    """Return the experiments over streams, whose stages are of a part with a name."""
    return {seal.identity["experiment"] for seal in seals.values() if "part" in seal.identity}
