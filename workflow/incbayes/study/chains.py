"""Which chains of a study are run or shown: those of its `only`, or all.

A chain is a method in an experiment in T parts. It is named as its files are:
`EXPERIMENT.METHOD.T10`; a name that ends earlier stands for all that begin so.
"""

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from incbayes.study.messages import check_known
from incbayes.study.model import Experiment, Study
from incbayes.study.yaml import KeyPath, shown

Chain = tuple[str, str, int]
"""Experiment, method and number of parts T."""


def all_chains(study: Study) -> list[Chain]:
    """Return the chains that a study in normal form describes, in its order."""
    return [
        (name, method, T)
        for name, experiment in study.experiments.items()
        for method in experiment.methods
        for T in experiment.parts
    ]


def chosen_chains(study: Study) -> list[Chain]:
    """Return the chains of a study in normal form that are to be run, in its order."""
    if study.only is None:
        return all_chains(study)
    chosen = {tuple(name.split(".")) for name in study.only}
    return [chain for chain in all_chains(study) if not chosen.isdisjoint(_names(chain))]


def chain_name(chain: Chain) -> str:
    """Return the name of a chain, as `only` takes it."""
    experiment, method, T = chain
    return f"{experiment}.{method}.T{T}"


def fewest_names(study: Study, chains: Iterable[Chain]) -> list[str] | None:
    """Return the shortest `only` of a study in normal form that stands for `chains`.

    None where they are all that it describes.
    """
    chosen, everything = set(chains), all_chains(study)
    if chosen.issuperset(everything):
        return None
    alike: dict[str, set[Chain]] = {}
    for chain in everything:
        for length in (1, 2, 3):
            alike.setdefault(".".join(chain_name(chain).split(".")[:length]), set()).add(chain)
    found: list[str] = []
    named: set[Chain] = set()
    for name, those in alike.items():  # shorter names of a chain come before longer ones
        if those <= chosen and not those <= named:
            found.append(name)
            named |= those
    return found


def chosen_experiments(study: Study) -> dict[str, Experiment]:
    """Return the experiments with a chain that is to be run, by name.

    Each has the methods and the parts that some such chain has.
    """
    methods: dict[str, set[str]] = {}
    counts: dict[str, set[int]] = {}
    for name, method, T in chosen_chains(study):
        methods.setdefault(name, set()).add(method)
        counts.setdefault(name, set()).add(T)
    return {
        name: replace(
            experiment,
            methods=tuple(method for method in experiment.methods if method in methods[name]),
            parts=tuple(T for T in experiment.parts if T in counts[name]),
        )
        for name, experiment in study.experiments.items()
        if name in methods
    }


def chains_left_out(study: Study) -> dict[str, list[str]]:
    """Return what is not to be run, by experiment, in the fewest words.

    An experiment without any chain that is run has an empty list; one that is run in part names
    its methods, by their label, and where only some T of a method are left out, those.
    """
    chosen = set(chosen_chains(study))
    left_out: dict[str, list[str]] = {}
    for name, experiment in study.experiments.items():
        gaps = {
            method: tuple(T for T in experiment.parts if (name, method, T) not in chosen)
            for method in experiment.methods
        }
        if all(gap == experiment.parts for gap in gaps.values()):
            left_out[name] = []
        elif any(gaps.values()):
            left_out[name] = [
                study.methods[method].label
                + ("" if gap == experiment.parts else f" at T = {', '.join(map(str, gap))}")
                for method, gap in gaps.items()
                if gap
            ]
    return left_out


def check_only(study: Study) -> None:
    """Check that `only` names chains that the study describes.

    Raises:
        StudyError: the first name that does not.
    """
    for position, name in enumerate(study.only or ()):
        path: KeyPath = ("only", position)
        experiment, *rest = name.split(".")
        _check_part(path, experiment, "experiment", study.experiments)
        described = study.experiments[experiment]
        if rest:
            _check_part(path, rest[0], f"method of {experiment}", described.methods)
        if rest[1:]:
            counts = [f"T{T}" for T in described.parts]
            _check_part(path, rest[1], f"number of parts of {experiment}", counts)


def _check_part(path: KeyPath, name: str, noun: str, known: Collection[str]) -> None:
    check_known(path, name, known, f"{shown(name)} is no {noun}", "allowed")


def _names(chain: Chain) -> set[tuple[str, ...]]:
    """Return the names in `only` that stand for a chain, each cut at its dots."""
    experiment, method, T = chain
    return {(experiment,), (experiment, method), (experiment, method, f"T{T}")}
