"""Bayesian incremental learning: the posterior of part t-1 is the prior of part t.

What a program needs of it is here; each name is imported on first use, so that planning a study
does not pay for torch. The library knows nothing of Snakemake but in `orchestration`;
`workflow/scripts` adapts it to the rules.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

_OFFERED = {
    "load_study": "incbayes.study.sources",
    "resolve_study": "incbayes.study.resolve",
    "read_posterior": "incbayes.posterior.file",
    "predict": "incbayes.prediction.predict",
    "export": "incbayes.prediction.export",
    "Predictor": "incbayes.posterior.predict",
    "read_records": "incbayes.results.collect",
    "compare": "incbayes.claims.compare",
    "verify": "incbayes.results.verification",
}

__all__ = [*_OFFERED, "__version__"]


def __getattr__(name: str) -> Any:
    """Return what the library offers under a name."""
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
    """Return the names that the library offers."""
    return sorted(__all__)
