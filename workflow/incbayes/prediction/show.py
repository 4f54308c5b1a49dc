"""Says what a posterior is: whose, of what network, made from what, how wide it is."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from incbayes.core.errors import UserError
from incbayes.core.seal import Seal
from incbayes.families.base import Family
from incbayes.networks.layers import Kind, Layer, State, layers_of
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import fresh_network
from incbayes.posterior.file import read_posterior
from incbayes.posterior.members import is_ensemble, members_of
from incbayes.posterior.network import NetworkState
from incbayes.prediction.lineage import Ancestor, lineage, parents_of, sealed
from incbayes.prediction.opened import Replicate, open_replicates
from incbayes.study.layers import CONVOLUTION, DENSE, layer_titles

TRAINING = "training.csv"
MOST_STEPS = 12
"""Steps of a lineage that one screen shows."""

KL_DRAWS = 20
"""That a KL is the mean of, where the family estimates it at a draw."""

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

WIDTHS = ("kl", "sigma", "sigma_ratio")
"""Numbers of a layer by the file itself, and by that of the stage before."""

Facts = dict[str, Any]


def facts(path: Path, model: str | None = None) -> Facts:
    """Return what a posterior is, as JSON values.

    Numbers of a layer are means over the replicates. Of the file itself are `sigma`, the mean
    standard deviation of a weight, and beside the stage before, where its file is verified
    (`compared_with`), `kl`, KL(q‖p) in nats, and `sigma_ratio`, the median σ/σ_p. `training` has
    what the sealed history says of the last epoch, beside the prior: `kl`, or `kl_weighed` where
    the family weighs the means within it, and `sigma_ratio`. What the algorithm did once the last
    step was taken is not in it. None is what there is not, as of a family without a scale.

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
    parents = _parents(ancestors, said, model)
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
        **parents_of(said),
        "lineage": [asdict(ancestor) for ancestor in ancestors],
        "compared_with": ancestors[0].what if parents else None,
        "layers": _layers(replicates, layers, _history(path, seal), parents),
    }


def _layers(
    replicates: Sequence[Replicate],
    layers: Sequence[Layer],
    history: Mapping[int, Mapping[str, float]],
    parents: Mapping[int, NetworkState],
) -> list[Facts]:
    """Return shape, width, and KL and width beside others of every layer."""
    found = []
    numbered = sorted(
        (layer for layer in layers if layer.name.isdigit()), key=lambda of: int(of.name)
    )
    titles = layer_titles([TYPES[of.kind] for of in numbered], [layer.name for layer in layers])
    for layer in layers:
        values = [_widths(one, layer, parents.get(one.number)) for one in replicates]
        rows = [history.get(one.number, {}) for one in replicates]
        kl = "kl_weighed" if _is_weighed(replicates[0].of.family) else "kl"
        found.append(
            {
                "name": layer.name,
                "title": titles[layer.name],
                "weight": list(layer.weight_shape),
                **{key: _mean([one.get(key) for one in values]) for key in WIDTHS},
                "training": {
                    kl: _mean([row.get(f"kl/{layer.name}") for row in rows]),
                    "sigma_ratio": _mean([row.get(f"sigma_ratio/{layer.name}") for row in rows]),
                },
            }
        )
    return found


def _widths(one: Replicate, layer: Layer, parent: NetworkState | None) -> dict[str, float]:
    """Return `sigma` of a layer and, beside the stage before, `kl` and `sigma_ratio`; in float64.

    Args:
        one: the replicate.
        layer: of its network.
        parent: the posterior of the stage before; None where it is not known.
    """
    family, q = one.of.family, _double(one.state[layer.name])
    sigma = family.sigma(layer, q)
    if sigma is None:
        return {}
    found = {"sigma": sigma.mean().item()}
    p = {} if parent is None else _double(parent[layer.name])
    alike = all(key in p and p[key].shape == tensor.shape for key, tensor in q.items())
    if not alike or not family.constraints["bayesian"]:
        return found
    before = family.sigma(layer, p)
    if before is not None:
        found["sigma_ratio"] = (sigma / before).median().item()
        found["kl"] = _kl(family.unweighed(), layer, q, p)
    return found


def _kl(family: Family, layer: Layer, q: State, p: State) -> float:
    """Return KL(q‖p) in nats; the mean of `KL_DRAWS` estimates, where it is not exact."""
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    estimates = [family.kl(layer, q, p, noise).item() for _ in range(2)]
    if estimates[0] != estimates[1]:
        estimates += [family.kl(layer, q, p, noise).item() for _ in range(KL_DRAWS - 2)]
    return fmean(estimates)


def _is_weighed(family: Family) -> bool:
    """Return whether what a family calls its KL weighs the means with a factor."""
    return family.unweighed() is not family


def _double(state: State) -> State:
    return {key: tensor.double() for key, tensor in state.items()}


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean over the replicates, None where one has no value."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


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
    return "\n".join([shown[0], *cut[1:], "", *_table(found["layers"], found["compared_with"])])


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


def _table(layers: Sequence[Facts], compared_with: str | None) -> list[str]:
    """Return lines on the layers, beside the stage before or, without it, the end of training."""
    to, sources = compared_with, layers
    if to is None:
        to, sources = "prior, in training", [layer["training"] for layer in layers]
    weighed = any("kl_weighed" in source for source in sources)
    rows = [
        (
            "layer",
            "weight",
            f"{'weighed KL' if weighed else 'KL'} to {to} (nats)",
            "mean σ",
            f"median σ / σ of {to}",
        )
    ]
    for layer, source in zip(layers, sources, strict=True):
        kl = source["kl_weighed" if weighed else "kl"]
        sigma, ratio = layer["sigma"], source["sigma_ratio"]
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
