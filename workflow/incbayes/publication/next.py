"""What to run next, of what is published, as commands that a person types."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from incbayes.claims.ledger import EXPLORATORY
from incbayes.claims.next_runs import NextRuns
from incbayes.publication.kept import PublicationError
from incbayes.publication.publish import read_published
from incbayes.report.next_table import steps_of
from incbayes.study.chains import Chain, chain_name
from incbayes.study.merging import merged
from incbayes.study.model import Study
from incbayes.study.resolve import claims_of


def judged_once(study: Study) -> list[str]:
    """Return the names of the primary claims that have no looks."""
    return [
        name
        for name, claim in claims_of(study).items()
        if claim.status != EXPLORATORY and claim.looks is None
    ]


def published_steps(study: Study, folder: Path) -> list[NextRuns]:
    """Return what to run next of a published study, the best first.

    Args:
        study: in normal form.
        folder: that it is published in.

    Raises:
        PublicationError: nothing is published there, or it cannot be read.
    """
    published = read_published(folder)
    if published is None:
        raise PublicationError(f"{folder}: nothing is published there to plan by; publish a run")
    return steps_of(study, published.records, published.provenance["runs"])


def lines_of(
    steps: Sequence[NextRuns], once: Sequence[str], command: Callable[[dict[str, Any]], str]
) -> list[str]:
    """Return what is printed of the steps.

    Args:
        steps: as `published_steps` returns them.
        once: names of the claims that are judged once.
        command: returns the command of settings for --config that are given further.
    """
    lines = []
    if once:
        lines.append(
            f"Judged once, so that further replicates cannot decide them: {', '.join(once)}. Give "
            "claims `looks` before their first replicate is run."
        )
    if not steps:
        return [*lines, "No further run has a chance of a decision that is worth its hours."]
    for place, step in enumerate(steps, start=1):
        said = ", ".join(f"{name} {100 * chance:.0f} %" for name, chance in step.chances.items())
        lines.append(f"{place}. {step.cost} core-hours; chance of a decision then: {said}")
        lines += [f"   {command(settings)}" for settings in settings_of(step)]
    lines.append(
        "Chances are for the observed effects and spreads as the true ones; hours are those of the "
        "fits before. Each step counts on those above it."
    )
    return lines


def settings_of(step: NextRuns) -> list[dict[str, Any]]:
    """Return the settings of the commands of a step: one for each range of replicates."""

    def numbers(item: tuple[Chain, tuple[int, ...]]) -> tuple[int, ...]:
        return item[1]

    found = []
    for of_all, items in groupby(sorted(step.replicates.items(), key=numbers), key=numbers):
        chains = [chain for chain, _ in items]
        for first, count in _ranges(of_all):
            settings: dict[str, Any] = {
                "only": [chain_name(chain) for chain in chains],
                "first_replicate": first,
                "experiments": {chain[0]: {"replicates": count} for chain in chains},
            }
            found.append(settings)
    return found


def with_settings(given: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a command line with further ones, of mappings key by key."""
    both: dict[str, Any] = merged(dict(given), dict(further))
    return both


def over_budget(study: Study, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, and within the study's budget those that it states: a budget wins over all.

    Args:
        study: in normal form.
        settings: for --config.
    """
    stated = _common(settings, study.budgets.get(study.budget, {}))
    return {**settings, **({"budgets": {study.budget: stated}} if stated else {})}


def _common(settings: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings whose keys, of mappings all the way down, another mapping has, too."""
    found = {}
    for key, value in settings.items():
        if key not in other:
            continue
        of_other = other[key]
        if isinstance(value, Mapping) and isinstance(of_other, Mapping):
            value = _common(value, of_other)
            if not value:
                continue
        found[key] = value
    return found


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return first number and length of each run of numbers that follow each other."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == sum(found[-1]):
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((number, 1))
    return found
