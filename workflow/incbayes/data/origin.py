"""Where a data set comes from, as its authors say: what a description for archives names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Whose a data set is.

    Attributes:
        title: its name as its authors write it.
        url: of its page.
        citation: the publication that describes it, in a line.
        license: address of the licence, or its terms in words; None where its authors state none.
    """

    title: str
    url: str
    citation: str
    license: str | None = None
