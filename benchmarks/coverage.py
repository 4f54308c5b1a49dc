"""How often an interval covers the truth on other replicates and other images: simulations.

    python benchmarks/coverage.py                 # prints the table
    python benchmarks/coverage.py docs/claims.md  # writes it there, between its marks

Differences of R replicates on N images are drawn anew, effects of images from a skewed
distribution, and the interval of their mean is compared with the true mean, 0.
"""

from collections.abc import Callable

import numpy as np
from claims import percent, print_or_write, table

from incbayes.claims.crossed import crossed_interval
from incbayes.claims.paired import LEVEL, interval

TABLES, IMAGES, RESAMPLES = 2_000, 200, 300
COUNTS = (3, 5, 10, 40)

Interval = Callable[[np.ndarray], tuple[float, float]]

SPREADS = {
    "replicates and images alike": (1.0, 1.0, 1.0),
    "images above all": (0.1, 1.0, 1.0),
    "replicates above all": (1.0, 0.1, 1.0),
    "neither: which image is missed is chance": (0.0, 0.0, 1.0),
}
"""Of replicates, in standard errors of a mean over the images; of images; of their interaction."""


def pigeonhole(differences: np.ndarray) -> tuple[float, float]:
    """Return percentiles of means of resampled rows and columns (Owen 2007)."""
    rng = np.random.default_rng(0)
    rows, columns = (
        rng.multinomial(count, np.full(count, 1 / count), RESAMPLES) / count
        for count in differences.shape
    )
    means = (rows @ differences * columns).sum(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


INTERVALS: dict[str, Interval] = {
    "over replicates alone": lambda differences: interval(differences.mean(1)),
    "over replicates and images": crossed_interval,
    "pigeonhole bootstrap": pigeonhole,
}


def coverage(spreads: tuple[float, float, float], replicates: int) -> dict[str, float]:
    """Return how often each interval covers the truth."""
    rng = np.random.default_rng(2007)
    of_replicates, of_images, rest = spreads
    of_replicates *= np.sqrt(replicates / IMAGES)
    covered = dict.fromkeys(INTERVALS, 0)
    for _ in range(TABLES):
        drawn = (
            of_replicates * rng.normal(size=(replicates, 1))
            + of_images * (rng.standard_exponential(IMAGES) - 1)
            + rest * rng.normal(size=(replicates, IMAGES))
        )
        for name, found in INTERVALS.items():
            low, high = found(drawn)
            covered[name] += low <= 0 <= high
    return {name: count / TABLES for name, count in covered.items()}


def coverage_table() -> str:
    """Return the table."""
    rows = []
    for described, spreads in SPREADS.items():
        found = {count: coverage(spreads, count) for count in COUNTS}
        rows += [
            [described, name, *(percent(found[count][name]) for count in COUNTS)]
            for name in INTERVALS
        ]
    return "\n".join(
        [
            f"{TABLES:,} tables of differences on {IMAGES} images: how often a {percent(LEVEL)} "
            "interval covers the mean on other replicates and images.\n",
            table(["what varies", "interval", *(f"n = {count}" for count in COUNTS)], rows),
        ]
    )


if __name__ == "__main__":
    print_or_write(__doc__, "coverage", coverage_table)
