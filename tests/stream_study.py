"""A study of a stream of made images, and a chain over three parts, for tests to disturb."""

import copy
from collections import Counter

from running import run
from stream_images import STATED, stream

STUDY = {
    "study": "arriving",
    "replicates": 2,
    "replicates_per_block": 1,
    "data_root": ".",
    "training": {"epochs": 2, "batch_size": 8, "learning_rate": 0.01},
    "evaluation": {"samples": 3},
    "experiments": {"photos": {"dataset": STATED, "model": {"kind": "mlp", "widths": [4]}}},
    "methods": {"ffg": {"family": "ffg"}},
}
A_DAY = {"prepare_part": 1, "fit_part": 2, "evaluate_part": 2}
AFTER = {"all", "collect", "figures", "report"}


def study(**dataset):
    changed = copy.deepcopy(STUDY)
    changed["experiments"]["photos"]["dataset"] |= dataset
    return changed


def counted(jobs):
    """Return how many jobs there are of a rule, of those that are there once a part or a stage."""
    return Counter(job.split()[0] for job in jobs if job.split()[0] not in AFTER)


def done(folder, asked=STUDY, *options):
    found = run(folder, asked, *options)
    assert found.returncode == 0, found.stdout
    return found.stdout


def refused(folder, asked=STUDY, *options):
    found = run(folder, asked, *options)
    assert found.returncode != 0
    return found.stdout


def digests(folder):
    """Return the bits of all posteriors and scores that are there, by path."""
    results = folder / "results" / "arriving"
    names = ("posterior.safetensors", "metrics.json", "drift.json", "training.csv")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in (*names, "metrics.csv")
        for path in results.rglob(name)
    }


def fitted(folder):
    """Fit a chain to three parts, in a folder."""
    stream(folder)
    done(folder)
    return folder
