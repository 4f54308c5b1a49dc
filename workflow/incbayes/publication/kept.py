"""Which published replicates stay beside those of a run, and whether they may.

A replicate of the run takes the place of the published one of that number; all others stay, if
they were made with the settings that the study states, of the same images, and by the same code.
It knows what was published and what is run; it writes nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from incbayes.core.errors import UserError
from incbayes.core.seal import SHOWN
from incbayes.report.methods import dotted, value
from incbayes.report.provenance import chain_of
from incbayes.study.blocks import block_replicates
from incbayes.study.chains import Chain, all_chains, chain_name, chosen_chains
from incbayes.study.model import Study
from incbayes.study.resolve import replicates_of
from incbayes.study.settings import chain_settings
from incbayes.study.tuning import tried_by_method

if TYPE_CHECKING:
    from incbayes.publication.publish import Measured

CHAIN = ["experiment", "method", "T"]

Kept = Mapping[Chain, frozenset[int]]
"""Replicates that stay, by chain."""


class PublicationError(UserError, ValueError):
    """What was published cannot stand beside what was run, or cannot be read."""


def kept_replicates(kept: "Measured", stated: Study) -> Kept:
    """Return the published replicates that a study about to be published does not run, by chain.

    Raises:
        PublicationError: some of them were made with other settings than are stated, or with
            settings that go back to a search of which less would be shown; or a block of
            replicates would be torn apart.
    """
    running = {chain: set(replicates_of(stated, chain[0])) for chain in chosen_chains(stated)}
    there = replicates_by_chain(kept.records)
    found = {
        chain: frozenset(there[chain] - running.get(chain, set()))
        for chain in all_chains(stated)
        if chain in there
    }
    found = {chain: replicates for chain, replicates in found.items() if replicates}
    for chain in found:
        _check_settings(kept.study, stated, chain)
    for run in kept.provenance["runs"]:
        chain, block = chain_of(run), set(block_replicates(run["block"]))
        stays = found.get(chain, frozenset())
        if stays & block and not block <= stays:
            torn = f"{chain_name(chain)}: block {run['block']} was published as a whole"
            raise PublicationError(f"{torn}; run all of its replicates again, or none of them")
    return found


def check_code(kept: "Measured", stated: Study, found: Kept, code: str) -> None:
    """Check that replicates which are added to a chain are made by the code of the others.

    Args:
        kept: what was published.
        stated: the study that is run.
        found: the replicates that stay.
        code: digest of the code of the run.

    Raises:
        PublicationError: they are not, and the study does not say that they may.
    """
    if stated.other_code:
        return
    added = {chain_name(chain) for chain in chosen_chains(stated) if chain in found}
    for source in kept.provenance["sources"]:
        both = sorted(added & set(source["chains"]))
        if both and source["code_digest"] != code:
            raise PublicationError(
                f"{both[0]} was published by code {source['code_digest'][:16]}, and this is "
                f"{code[:16]}: run all of its replicates again, or publish both, each named with "
                "its code: --config other_code=true"
            )


def check_origins(sources: Iterable[Mapping[str, Any]]) -> None:
    """Check that all runs of an experiment, as provenance names them, were made of the same files.

    These are its images, and the weights that it was given.

    Raises:
        PublicationError: naming a chain that was not.
    """
    first: dict[str, Any] = {}
    given: dict[str, str] = {}
    for source in sources:
        for chain in source["chains"]:
            experiment = chain.partition(".")[0]
            # Beside its own: its outliers, and the data of given weights. A run may lack them.
            of = [key for key in source["images"] if key.partition(",")[0] == experiment]
            for key in of:
                images = source["images"][key]
                if first.setdefault(key, images) != images:
                    raise PublicationError(
                        f"{chain}: made of other images than what is published of {key}; "
                        f"give one of the two another name, or run all of it again"
                    )
            weights = source.get("weights", {}).get(experiment)
            if weights is not None and given.setdefault(experiment, weights) != weights:
                raise PublicationError(
                    f"{chain}: made of other weights ({weights[:SHOWN]}…) than what is published "
                    f"of {experiment} ({given[experiment][:SHOWN]}…); give one of the two another "
                    "name, or run all of it again"
                )


def replicates_by_chain(frame: pd.DataFrame) -> dict[Chain, set[int]]:
    """Return the numbers of the replicates of each chain in a frame."""
    found: dict[Chain, set[int]] = {}
    for *chain, replicate in frame[[*CHAIN, "replicate"]].drop_duplicates().to_numpy().tolist():
        experiment, method, T = chain
        found.setdefault((experiment, method, int(T)), set()).add(int(replicate))
    return found


def rows_kept(frame: pd.DataFrame, found: Kept) -> pd.DataFrame:
    """Return the rows of the replicates that stay; of a frame without replicates, of the chains."""
    keys = frame[CHAIN].itertuples(index=False, name=None)
    if "replicate" not in frame:
        return rows_where(frame, (key in found for key in keys))
    pairs = zip(keys, frame["replicate"], strict=True)
    return rows_where(frame, (replicate in found.get(key, ()) for key, replicate in pairs))


def rows_where(frame: pd.DataFrame, chosen: Iterable[bool]) -> pd.DataFrame:
    """Return some rows of a frame, which may have none."""
    return frame[np.fromiter(chosen, dtype=bool, count=len(frame))]


def runs_kept(runs: Collection[Mapping[str, Any]], found: Kept) -> list[Mapping[str, Any]]:
    """Return the run records of the replicates that stay."""
    return [
        run
        for run in runs
        if set(block_replicates(run["block"])) <= found.get(chain_of(run), frozenset())
    ]


def _check_settings(kept: Study, stated: Study, chain: Chain) -> None:
    before, now = (
        {
            key: setting
            for key, setting in dotted(chain_settings(study, *chain[:2]))
            if key != "replicates"
        }
        for study in (kept, stated)
    )
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if old != new:
            raise PublicationError(
                f"{chain_name(chain)} was published with {key} {value(old)}, and the study "
                f"has {value(new)}: state it as it was, in the study or with --config, or run the "
                "chain again with the rest"
            )
    tried, shown = (_tried(study, chain) for study in (kept, stated))
    if any(candidate not in shown for candidate in tried):
        raise PublicationError(
            f"{chain_name(chain)} was published with settings that a search chose, of which "
            "the study does not show all: name the file of its outcome, or run the chain "
            "again with the rest"
        )


def _tried(study: Study, chain: Chain) -> list[tuple[Any, Any]]:
    """Return settings and scores of what the search of a study tried for a chain's method."""
    candidates = tried_by_method(study).get(chain[:2], [])
    return [(candidate.settings, candidate.scores) for candidate in candidates]
