"""The registry of claim tests, what a claim may say of its groups; and the names of verdicts."""

from incbayes.registry import Registry

CLAIM_TESTS = Registry(
    "relation",
    {
        "greater": "incbayes.claims.directional:Greater",
        "less": "incbayes.claims.directional:Less",
        "ordered": "incbayes.claims.ordered:Ordered",
        "equivalent": "incbayes.claims.margin:Equivalent",
        "not_less": "incbayes.claims.margin:NotLess",
        "not_greater": "incbayes.claims.margin:NotGreater",
    },
)

VERDICTS = ("supported", "contradicted", "inconclusive", "not run")
