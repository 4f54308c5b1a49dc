"""How often a ledger errs, and how much it decides: simulations behind the rules for claims.

    python benchmarks/claims.py                 # prints the tables
    python benchmarks/claims.py docs/claims.md  # writes them there, between their marks

Every claim of a simulated family lies at the edge of its claimed region, where it errs most often.
Claims share a baseline, as those of a study do that compare several methods with one.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from common import write_block
from scipy import stats

ALPHA = 0.05
CLAIMS = 14
LEDGERS = 20_000
CHUNK = 2_000
COUNTS = (3, 5, 10, 20, 40)

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Rule = Callable[[np.ndarray], np.ndarray]
"""From p-values [ledgers, claims] of one side to which of them are at most the level."""

NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed (exponential)": lambda rng, shape: rng.exponential(size=shape) - 1,
    "skewed (log-normal)": lambda rng, shape: (rng.lognormal(size=shape) - np.exp(0.5)) / 2.16,
}


def single_step(p: np.ndarray) -> np.ndarray:
    """Return which p-values are at most level / m: the rule of the ledger, on either side."""
    return p <= ALPHA / p.shape[1]


def holm_halved(p: np.ndarray) -> np.ndarray:
    """Return which p-values Holm's method rejects at half the level, as one of two families."""
    order = np.argsort(p, axis=1)
    ranked = np.take_along_axis(p, order, axis=1)
    passed = ranked <= ALPHA / 2 / np.arange(p.shape[1], 0, -1)
    kept = np.logical_and.accumulate(passed, axis=1)
    rejected = np.empty_like(kept)
    np.put_along_axis(rejected, order, kept, axis=1)
    return rejected


RULES: dict[str, Rule] = {"level / m, either side": single_step, "Holm, level / 2": holm_halved}


def differences(
    rng: np.random.Generator, noise: Noise, count: int, shared: float = 0.5
) -> Iterator[np.ndarray]:
    """Yield differences of mean 0 and deviation 1, [ledgers, claims, count].

    Args:
        rng: of the noise.
        noise: of a method, by replicate.
        count: replicates.
        shared: share of the variance that is the baseline's, one of a ledger.
    """
    for _ in range(LEDGERS // CHUNK):
        own = noise(rng, (CHUNK, CLAIMS, count))
        baseline = rng.normal(size=(CHUNK, 1, count))
        yield np.sqrt(1 - shared) * own - np.sqrt(shared) * baseline


def p_values(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the p-values that a mean is above 0 and that it is below, over the last axis."""
    n = samples.shape[-1]
    t = samples.mean(-1) / (samples.std(-1, ddof=1) / np.sqrt(n))
    return stats.t.sf(t, n - 1), stats.t.cdf(t, n - 1)


def family_error(noise: Noise, count: int, outside: np.ndarray) -> dict[str, float]:
    """Return by rule how often a ledger has any false verdict.

    Args:
        noise: of a method, by replicate.
        count: replicates.
        outside: of which claims the truth lies just outside the region, so that support is false
            [claims]; of the others it lies just inside, and contradiction is.
    """
    rng, false = np.random.default_rng(count), dict.fromkeys(RULES, 0)
    for samples in differences(rng, noise, count):
        support, contradiction = p_values(samples)
        for name, rule in RULES.items():
            wrong = np.where(outside, rule(support), rule(contradiction))
            false[name] += int(wrong.any(1).sum())
    return {name: found / LEDGERS for name, found in false.items()}


def decided(count: int, effect: float, share: float) -> dict[str, float]:
    """Return by rule the share of claims with an effect that are rightly decided.

    Args:
        count: replicates.
        effect: in standard deviations of a difference; of every second one the other way.
        share: of the claims that have one.
    """
    rng, found = np.random.default_rng(count), dict.fromkeys(RULES, 0.0)
    real = np.arange(CLAIMS) < round(share * CLAIMS)
    sign = np.where(np.arange(CLAIMS) % 2 == 0, 1.0, -1.0)
    for samples in differences(rng, NOISES["normal"], count):
        support, contradiction = p_values(samples + (real * sign * effect)[:, None])
        for name, rule in RULES.items():
            right = np.where(sign > 0, rule(support), rule(contradiction))
            found[name] += float(right[:, real].mean()) / (LEDGERS // CHUNK)
    return found


def error_of_looks(looks: tuple[int, ...], noise: Noise) -> tuple[float, float]:
    """Return how often one claim is falsely decided at some look: as is, and with weights.

    On the side that errs more often, where the differences are skewed.
    """
    rng, level = np.random.default_rng(0), ALPHA / 2
    naive, weighted = np.zeros(2), np.zeros(2)
    for samples in differences(rng, noise, looks[-1]):
        p = np.stack([p_values(samples[..., :n]) for n in looks], -1)
        weights = 0.5 ** np.arange(1, len(looks) + 1)
        naive += (p <= level).any(-1).mean((1, 2)) / (LEDGERS // CHUNK)
        weighted += (p / weights <= level).any(-1).mean((1, 2)) / (LEDGERS // CHUNK)
    return float(naive.max()), float(weighted.max())


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def percent(value: float) -> str:
    """Return a share in percent."""
    return f"{100 * value:.1f} %"


def tables() -> str:
    """Return all tables."""
    errors, power = [], []
    sides = {"both ways": np.arange(CLAIMS) % 2 == 0, "one way": np.zeros(CLAIMS, dtype=bool)}
    for name, noise in NOISES.items():
        for side, outside in sides.items():
            found = {n: family_error(noise, n, outside) for n in COUNTS}
            errors += [
                [name, side, rule, *(percent(found[n][rule]) for n in COUNTS)] for rule in RULES
            ]
    for share in (0.15, 0.5, 1.0):
        for effect in (1.5, 3.0):
            found = {n: decided(n, effect, share) for n in (5, 10, 20)}
            power += [
                [f"{round(share * CLAIMS)} of {CLAIMS}", f"{effect:g}", rule]
                + [percent(found[n][rule]) for n in (5, 10, 20)]
                for rule in RULES
            ]
    looked = []
    for looks in ((3, 5, 10), (5, 10, 20, 40)):
        for name, noise in NOISES.items():
            naive, weighted = error_of_looks(looks, noise)
            looked.append([", ".join(map(str, looks)), name, percent(naive), percent(weighted)])
    return "\n".join(
        [
            f"{LEDGERS:,} ledgers of {CLAIMS} claims at the edge, level {percent(ALPHA)}: "
            "how often one has any false verdict, where claims can err both ways, and where all "
            "can err in the direction of the long tail alone.\n",
            table(["differences", "errors", "rule", *(f"n = {n}" for n in COUNTS)], errors),
            "Claims that are rightly decided, of those with an effect (in standard deviations of a "
            "difference); the others lie at the edge.\n",
            table(["with an effect", "effect", "rule", "n = 5", "n = 10", "n = 20"], power),
            f"One claim, tested at {percent(ALPHA / 2)} on one side at every look until it is "
            "decided: how often falsely, on the side that errs more.\n",
            table(["looks at", "differences", "each as is", "with weights 1/2, 1/4, …"], looked),
        ]
    )


def print_or_write(description: str, name: str, make: Callable[[], str]) -> None:
    """Print tables, or write them into the block of that name of a page, as the command says."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("page", type=Path, nargs="?", help="a page with marks for them")
    page, found = parser.parse_args().page, make()
    if page is None:
        print(found)
    else:
        write_block(page, name, found)


if __name__ == "__main__":
    print_or_write(__doc__, "simulations", tables)
