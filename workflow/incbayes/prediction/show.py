"""Says what a posterior is: whose, of what network, made from what, how wide it is."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from incbayes.core.errors import UserError
from incbayes.core.seal import Seal
from incbayes.networks.layers import Kind, Layer, layers_of
from incbayes.posterior.build import fresh_network
from incbayes.posterior.file import read_posterior
from incbayes.posterior.members import is_ensemble, members_of
from incbayes.posterior.network import NetworkState
from incbayes.prediction.lineage import Ancestor, lineage, sealed
from incbayes.prediction.opened import Replicate, open_replicates
from incbayes.study.layers import CONVOLUTION, DENSE, layer_titles

TRAINING = "training.csv"
MOST_STEPS = 12
"""Steps of a lineage that one screen shows."""

COPIED = ("study", "experiment", "method", "T", "t", "budget", "seed", "config")
TYPES: Mapping[Kind, str] = {
    "linear": DENSE,
    "embedding": "embedding",
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), CONVOLUTION),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), f"transposed {CONVOLUTION}"
    ),
    "normalisation": "norm",
}
"""What layers are called, with their number among those of a type."""

DIGESTS = ("data", "code", "torch")

Facts = dict[str, Any]


def facts(path: Path, model: str | None = None) -> Facts:
    """Return what a posterior is, as JSON values.

    Numbers of a layer are means over the replicates: `kl`, KL(q‖p) in nats, and `sigma_ratio`, the
    median σ/σ of the prior, at the end of training by the sealed history, else None; the ratio is
    of the parent's file where there is no history and that file is there. `sigma` is the mean
    standard deviation of a weight, None for a family without a scale.

    Args:
        path: of the file.
        model: `FILE.py:Class` that builds the network in place of the registered one.

    Raises:
        PosteriorError: the file cannot be used.
        SealError: the seal beside it is damaged, or of other bytes.
    """
    path = Path(path)
    posterior = read_posterior(path)
    replicates = open_replicates(posterior, model=model)
    said, first = posterior.metadata, replicates[0]
    ancestors, seal = lineage(path, said), sealed(path)
    layers = layers_of(fresh_network(first.of.architecture(first.number), 0))
    return {
        "file": str(path),
        "sha256": posterior.sha256,
        "sealed": seal is not None,
        **{key: said.get(key) for key in COPIED},
        "replicates": [one.number for one in replicates],
        **({"members": len(members_of(first.state))} if is_ensemble(first.state) else {}),
        "family": said["network"]["family"],
        "model": dict(first.of.model),
        "likelihood": said["network"]["likelihood"],
        "shape": list(first.of.shape),
        "classes": {str(one.number): list(one.of.classes[one.number]) for one in replicates},
        "pixels": said["pixels"],
        **({} if first.of.table is None else {"table": first.of.table.facts}),
        "images": said.get("images"),
        **{key: said.get(key) for key in DIGESTS},
        "parent": said.get("parent"),
        "lineage": [asdict(ancestor) for ancestor in ancestors],
        "layers": _layers(
            replicates, layers, _history(path, seal), _parents(ancestors, said, model)
        ),
    }


def _layers(
    replicates: Sequence[Replicate],
    layers: Sequence[Layer],
    history: Mapping[int, Mapping[str, float]],
    parents: Mapping[int, NetworkState],
) -> list[Facts]:
    """Return shape, KL, width and width beside the prior's of every layer."""
    found = []
    numbered = sorted(
        (layer for layer in layers if layer.name.isdigit()), key=lambda of: int(of.name)
    )
    titles = layer_titles([TYPES[of.kind] for of in numbered], [layer.name for layer in layers])
    for layer in layers:
        sigmas, ratios, kls = [], [], []
        for one in replicates:
            sigma = one.of.family.sigma(layer, one.state[layer.name])
            of_training = history.get(one.number, {})
            kls += _value(of_training, f"kl/{layer.name}")
            ratio = _value(of_training, f"sigma_ratio/{layer.name}")
            if sigma is not None:
                sigmas.append(sigma.double().mean().item())
                has_prior = one.of.family.constraints["bayesian"]
                if has_prior and not ratio and one.number in parents:
                    before = one.of.family.sigma(layer, parents[one.number][layer.name])
                    if before is not None and before.shape == sigma.shape:
                        ratio = [(sigma / before).median().item()]
            ratios += ratio
        found.append(
            {
                "name": layer.name,
                "title": titles[layer.name],
                "weight": list(layer.weight_shape),
                "kl": _mean(kls, len(replicates)),
                "sigma": _mean(sigmas, len(replicates)),
                "sigma_ratio": _mean(ratios, len(replicates)),
            }
        )
    return found


def _mean(values: list[float], count: int) -> float | None:
    """Return the mean over the replicates, None where one has no value."""
    return fmean(values) if len(values) == count else None


def _value(row: Mapping[str, float], column: str) -> list[float]:
    return [row[column]] if column in row else []


def _history(path: Path, seal: Seal | None) -> dict[int, dict[str, float]]:
    """Return the last epoch's record of every replicate, from the sealed training history.

    Raises:
        SealError: it has other bytes than the seal says.
    """
    file = path.with_name(TRAINING)
    if seal is None or TRAINING not in seal.files or not file.is_file():
        return {}
    return seal.read(file, _last_epochs)


def _last_epochs(file: Path) -> dict[int, dict[str, float]]:
    last: dict[int, dict[str, float]] = {}
    with open(file, newline="", encoding="utf-8") as opened:
        for row in csv.DictReader(opened):
            last[int(row["replicate"])] = {
                key: float(value) for key, value in row.items() if value and "/" in key
            }
    return last


def _parents(
    ancestors: Sequence[Ancestor], said: Mapping[str, Any], model: str | None
) -> dict[int, NetworkState]:
    """Return the states of the stage before, where its file is verified and of this network."""
    before = [one for one in ancestors if one.what.startswith("t =")][:1]
    if not before or before[0].state != "verified" or before[0].path is None:
        return {}
    try:
        replicates = open_replicates(before[0].path, model=model)
    except UserError:  # of what it is, `lineage` tells
        return {}
    same = replicates[0].of.metadata["network"] == said["network"]
    return {one.number: one.state for one in replicates} if same else {}


def text(found: Facts, width: int = 100) -> str:
    """Return what a posterior is as one screen of text.

    Args:
        found: from `facts`.
        width: characters of a line, at least 60.
    """
    of = ", ".join(f"{key} {found[key]}" for key in ("study", "experiment", "method"))
    classes = list(dict.fromkeys(tuple(names) for names in found["classes"].values()))
    images = ", ".join(f"{count}" for count in (found["images"] or {}).values())
    noun = "rows" if "table" in found else "images"
    lines = {
        "file": found["file"],
        "sha256": found["sha256"] + (", sealed" if found["sealed"] else ", no seal beside it"),
        "of": f"{of}, T = {found['T']}, t = {found['t']}, budget {found['budget']}",
        "replicates": ", ".join(map(str, found["replicates"])),
        "family": _kind(found["family"]),
        "model": _kind(found["model"]),
        "likelihood": _kind(found["likelihood"]),
        "input": f"{found['shape']}, pixels {_kind(found['pixels'])}",
        **_asked_for(found.get("table"), classes),
        "fitted to": f"{images} {noun}, data {str(found['data'])[:12]}…",
        "made by": f"seed {found['seed']}, settings {str(found['config'])[:12]}…, "
        f"code {str(found['code'])[:12]}…, torch {found['torch']}",
    }
    shown = [f"{key:<12}{_printable(value)}" for key, value in lines.items()]
    shown += [f"{'lineage':<12}{line}" for line in _lineage(found)[:1]]
    shown += [f"{'':<12}{line}" for line in _lineage(found)[1:]]
    cut = [line if len(line) <= width else line[: width - 1] + "…" for line in shown]
    # A path is of use when it is whole.
    return "\n".join([shown[0], *cut[1:], "", *_table(found["layers"])])


def _asked_for(table: Mapping[str, Any] | None, classes: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return lines on what is predicted, and from which columns where it is a table."""
    shown = "; or ".join(f"{len(names)}: {', '.join(names)}" for names in classes)
    if table is None:
        return {"classes": shown}
    features = {"features": f"{len(table['features'])}: {', '.join(table['features'])}"}
    if table["classes"] is None:
        return features | {"target": f"{table['target']}, a number"}
    return features | {"target": table["target"], "classes": shown}


def _lineage(found: Facts) -> list[str]:
    steps = [
        f"{step['what']}  {(step['sha256'] or '?')[:12]}  {step['state']}"
        for step in found["lineage"]
    ]
    if len(steps) > MOST_STEPS:
        steps[MOST_STEPS - 2 : -1] = [f"… {len(steps) - MOST_STEPS + 1} more, as `--json` has them"]
    here = f"t = {found['t']}  {found['sha256'][:12]}  this file"
    complete = all(step["state"] == "verified" for step in found["lineage"])
    end = "complete, back to the first stage" if complete else "not verified to its beginning"
    return [here, *steps, end]


def _table(layers: Sequence[Facts]) -> list[str]:
    rows = [("layer", "weight", "KL (nats)", "mean σ", "median σ / σ of prior")]
    for layer in layers:
        kl, sigma, ratio = (layer[key] for key in ("kl", "sigma", "sigma_ratio"))
        rows.append(
            (
                layer["title"],
                "×".join(map(str, layer["weight"])),
                "–" if kl is None else f"{kl:.1f}",
                "–" if sigma is None else f"{sigma:.4g}",
                "–" if ratio is None else f"{ratio:.4g}",
            )
        )
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _kind(spec: Mapping[str, Any]) -> str:
    """Return a kind with its options; numbers by replicate are left to `--json`."""
    options = [f"{k} {v}" for k, v in spec.items() if k != "kind" and not isinstance(v, dict)]
    by_replicate = [k for k, v in spec.items() if isinstance(v, dict)]
    options += [f"{' and '.join(by_replicate)} by replicate"] if by_replicate else []
    return f"{spec['kind']} ({', '.join(options)})" if options else str(spec["kind"])


def _printable(value: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in value)
