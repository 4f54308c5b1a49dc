"""Normal forms of studies and of families as plain values."""

import dataclasses

from incbayes.kinds import FAMILIES
from incbayes.study.model import plain_study
from incbayes.study.resolve import resolve_study


def family_with_defaults(kind):
    """Return `{kind: …, options}` of a family as its class declares them."""
    options = dataclasses.asdict(FAMILIES[kind]())
    return {"kind": kind, **options}


def normal_form(raw):
    """Return the normal form of a study as JSON values."""
    return plain_study(resolve_study(raw))
