"""When claims were stated, and whether they are still what they then were.

A claim is stated with the settings of its groups, so that neither its margin nor what it is about
can change unseen once there are results. It knows a study and its settings; it reads no results.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incbayes.core.json_digest import digest
from incbayes.study.chains import Chain
from incbayes.study.merging import Plain
from incbayes.study.model import Claim, Group, Statement, Study, read, to_plain
from incbayes.study.settings import chain_settings

SHOWN = ("place", "figure")
"""Of a claim, what changes nothing of what it says."""


@dataclass(frozen=True)
class Stated:
    """The statements of a study's claims.

    Attributes:
        current: by claim, of those that are still what they were.
        changed: claims of which the sentence, the test or a setting has changed since.
    """

    current: Mapping[str, Statement]
    changed: frozenset[str] = frozenset()


def statement_digest(study: Study, name: str) -> str:
    """Return the digest of a claim and of the settings of its groups.

    The number of replicates is none of them: replicates may be added.

    Args:
        study: in normal form.
        name: of one of its claims.
    """
    claim = study.claims[name]
    plain = {key: value for key, value in to_plain(claim).items() if key not in SHOWN}
    settings = {}
    for experiment, method, _ in groups_of(claim):
        found: Plain = chain_settings(study, experiment, method)
        settings[f"{experiment}.{method}"] = {k: v for k, v in found.items() if k != "replicates"}
    return digest({"claim": plain, "settings": settings})


def stated(study: Study) -> Stated:
    """Return which claims of a study in normal form are stated, as they now are."""
    current = {
        name: statement
        for name, statement in study.stated.items()
        if statement.digest == statement_digest(study, name)
    }
    return Stated(current, frozenset(study.stated) - frozenset(current))


def plain_stated(found: Stated) -> Plain:
    """Return statements as JSON values."""
    return {"current": to_plain(found.current), "changed": sorted(found.changed)}


def stated_of_plain(plain: Mapping[str, Any]) -> Stated:
    """Return statements from their JSON values, as `plain_stated` gives them.

    Raises:
        msgspec.ValidationError: they are none.
    """
    return Stated(read(dict[str, Statement], plain["current"]), frozenset(plain["changed"]))


def groups_of(claim: Claim) -> list[Chain]:
    """Return the chains that a claim compares."""
    return [
        (group.experiment, group.method, group.T)
        for group in claim.groups
        if isinstance(group, Group)
    ]
