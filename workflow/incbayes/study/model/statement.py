"""What a study says of when its claims were stated."""

from typing import Annotated

from msgspec import Meta

from incbayes.study.model.base import Section, Text, stated

Count = Annotated[int, Meta(ge=0, le=10_000)]
Digest = Annotated[
    str,
    Meta(pattern=r"^[0-9a-f]{64}$"),
    stated(x_pattern="64 hexadecimal digits"),
]


class Statement(Section, frozen=True, kw_only=True):
    """When a claim was stated, and what it then was.

    Attributes:
        date: When it was stated, in UTC, e.g. `2026-11-27T06:00:00+00:00`.
        digest: SHA-256 of the claim and of the settings of its groups.
        first: Number of the first replicate that was neither run nor published by then.
    """

    date: Text
    digest: Digest
    first: Count
