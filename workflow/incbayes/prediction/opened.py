"""Opens posterior files to be used together: blocks of replicates of one stage of one chain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from incbayes.posterior.described import Described, described
from incbayes.posterior.file import Posterior, PosteriorError, read_posterior
from incbayes.posterior.network import NetworkState
from incbayes.posterior.same_chain import check_same_chain
from incbayes.prediction.own import own_model

Given = str | Path | Posterior
"""A posterior: its file, or what `read_posterior` returned of it."""


@dataclass(frozen=True)
class Replicate:
    """One replicate's posterior.

    Attributes:
        number: of the replicate.
        state: its variational parameters.
        of: what its file says of it.
    """

    number: int
    state: NetworkState
    of: Described


def open_replicates(
    given: Given | Sequence[Given],
    replicates: Sequence[int] | None = None,
    model: str | None = None,
) -> list[Replicate]:
    """Return the replicates of one or more blocks of a chain, by number.

    Args:
        given: one posterior, or several of other replicates of the same stage.
        replicates: those that are wanted; None for all.
        model: `FILE.py:Class` that builds the network in place of the registered one.

    Raises:
        PosteriorError: a file cannot be used, is of another chain or stage, holds a replicate that
            another one does, or none holds a replicate that is wanted.
        OwnModelError: the class is not there.
    """
    own = own_model(model)
    several = [given] if isinstance(given, str | Path | Posterior) else given
    posteriors = [_read(one) for one in several]
    if not posteriors:
        raise PosteriorError("no posterior was given")
    all_described = [described(file, posterior, own) for file, posterior in posteriors]
    for other in all_described[1:]:
        check_same_chain(all_described[0], other)
    found: dict[int, Replicate] = {}
    for of, (file, posterior) in zip(all_described, posteriors, strict=True):
        for number, state in posterior.states.items():
            if number in found:
                raise PosteriorError(
                    f"{file}: holds replicate {number}, and so does {found[number].of.file}"
                )
            found[number] = Replicate(number, state, of)
    return [found[number] for number in _wanted(found, replicates)]


def check_same_classes(replicates: Sequence[Replicate]) -> None:
    """Check that the outputs of all replicates are of the same classes, in the same order.

    Raises:
        PosteriorError: naming the first replicate whose classes differ, and the way out.
    """
    first = replicates[0]
    for other in replicates[1:]:
        mine, theirs = (one.of.classes[one.number] for one in (first, other))
        if mine != theirs:
            raise PosteriorError(
                f"{other.of.file}: the classes of replicate {other.number} are {_listed(theirs)}, "
                f"those of replicate {first.number} are {_listed(mine)}: different tasks, which "
                "have no common prediction; choose replicates of one task, e.g. "
                f"--replicate {first.number}"
            )


def _read(given: Given) -> tuple[str, Posterior]:
    if isinstance(given, Posterior):
        return f"posterior {given.sha256[:12]}", given
    return str(given), read_posterior(Path(given))


def _wanted(found: dict[int, Replicate], replicates: Sequence[int] | None) -> Iterator[int]:
    for number in sorted(set(found) if replicates is None else set(replicates)):
        if number not in found:
            held = ", ".join(map(str, sorted(found)))
            files = ", ".join(dict.fromkeys(one.of.file for one in found.values()))
            raise PosteriorError(f"{files}: no replicate {number}; there are {held}")
        yield number


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
