"""Metrics by name: the library's own, and those of files that a study names."""

from collections.abc import Iterable

from incbayes.core.outside import OutsideError, is_outside
from incbayes.core.registry import KindError
from incbayes.kinds import METRICS
from incbayes.metrics.base import Metric, unregistered


class MetricError(OutsideError):
    """A name from outside the library that is not that of a metric."""


def metric_of(name: str) -> Metric:
    """Return the metric of that name.

    Of one that records have, and that neither this release nor a file here has, the values are
    written as they are.
    """
    if name in METRICS:
        return METRICS[name]
    if is_outside(name):
        try:
            return outside_metric(name)
        except (OutsideError, KindError):  # records of another place, or of another day
            pass
    return unregistered(name)


def outside_metric(name: str) -> Metric:
    """Return the metric of a file or module that lies outside the library.

    Args:
        name: `package.module:METRIC` or `file:PATH.py:METRIC`.

    Raises:
        OutsideError: there is no such module or name in it, or it is no metric.
        KindError: its module cannot be imported.
    """
    found = METRICS[name]
    if not isinstance(found, Metric):
        kind = type(found).__name__
        raise MetricError(f"{name}: a {kind}, and no incbayes.metrics.base.Metric")
    return found


def metrics_with(further: Iterable[str]) -> dict[str, Metric]:
    """Return the library's metrics by name, and those from outside that a study names."""
    return dict(METRICS) | {name: outside_metric(name) for name in further}
