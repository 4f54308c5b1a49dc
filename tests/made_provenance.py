"""The made provenance of a made study."""

import hashlib

from made_studies import Shape, made_study

COMMAND = "snakemake --cores all --configfile 'studies/made.yaml'"


def made_provenance(shape: Shape) -> dict:
    """Return the provenance of a made study."""
    runs = [
        {
            "study": "made", "experiment": experiment, "method": method, "T": parts, "t": t,
            "block": "r0-3", "replicates": list(range(shape.replicates)), "seconds": 60.0,
            "started": "2026-01-05T12:00:00+00:00",
            "device": "cpu", "host": "a-host", "torch": "2.14.1", "threads": 1,
            "sha256": hashlib.sha256(f"{experiment}{method}{parts}{t}".encode()).hexdigest(),
        }
        for experiment, content in made_study(shape).experiments.items()
        for method in content.methods
        for parts in shape.parts
        for t in range(1, parts + 1)
    ]  # fmt: skip
    source = {
        "command": COMMAND,
        "code_digest": "c0de" * 16,
        "commit": None,
        "versions": {"python": "3.11.7", "torch": "2.14.1"},
        "hardware": {"processor": "a processor"},
        "images": {
            experiment: {"train": "a" * 64, "test": "b" * 64}
            for experiment in made_study(shape).experiments
        },
        "chains": list(
            dict.fromkeys(f"{run['experiment']}.{run['method']}.T{run['T']}" for run in runs)
        ),
    }
    return {"sources": [source], "runs": runs}
