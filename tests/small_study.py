"""A small study that is complete, and ways to change it."""

import copy
import re

SMALL = {
    "study": "small",
    "experiments": {
        "plain": {
            "dataset": "digits",
            "model": "mlp",
            "parts": [1, 5],
            "methods": ["ft", "ffg"],
        },
        "halves": {
            "dataset": "digits",
            "model": "digits_net",
            "parts": [3],
            "partition": {"source_classes": 5},
            "pretrain": {"training": {"epochs": 7}},
        },
    },
    "methods": {
        "ft": {"family": "point"},
        "ffg": {"family": {"kind": "ffg", "initial_sigma": 0.05}},
        "ft_pretrained": {"family": "point", "prior": "pretrained"},
        "ffg_grid": {"family": "ffg", "prior": {"kind": "grid", "variances": [0.01, 0.1]}},
        "ffg_laplace": {"family": "ffg", "prior": "laplace"},
    },
    "budgets": {"quick": {"replicates": 1, "training": {"epochs": 2}}},
}

GONE = object()
PLAIN = "experiments.plain"
HALVES = "experiments.halves"


def steps(path):
    """Return `a.b[0]` as the list of its keys."""
    found = re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)
    return [name or int(position) for name, position in found]


def changed(*changes):
    """Return the small study with the value at each path set, or taken away if it is GONE."""
    study = copy.deepcopy(SMALL)
    for path, value in changes:
        *parents, last = steps(path)
        place = study
        for key in parents:
            place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return study
