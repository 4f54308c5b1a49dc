"""A search for settings in the small study, and what it found."""

RATES = {"training.learning_rate": [1e-3, 1e-2]}
SEARCH = {"ft": RATES, "ffg": {"family.initial_sigma": [0.01, 0.1]}}
TUNE = {"search": {"plain": SEARCH}}


def searched(**search):
    """Return the search of the small study with the keys of some methods replaced."""
    return {"search": {"plain": SEARCH | search}}


LAST = [{"T": 1, "accuracy": 0.5, "nll": 1.0}]
TUNED = {
    "study": "small",
    "budget": "full",
    "reduced": False,
    "seed": 0,
    "validation": 0.1,
    "replicates": 1,
    "metric": "accuracy",
    "candidates": [
        {
            "experiment": "plain",
            "method": "ffg",
            "settings": {"family.initial_sigma": sigma},
            "scores": LAST,
            "chosen": sigma == 0.01,
        }
        for sigma in (0.01, 0.1)
    ],
}
