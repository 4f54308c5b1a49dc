"""What a study did, in words: its experiments, its methods, and what a budget changed.

Knows the resolved form of a study; knows nothing of results.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from incbayes.study import (
    chains_left_out,
    chosen_experiments,
    evaluation_settings,
    method_settings,
    scored_share,
)
from incbayes.study_schema import kind_constraints

MACHINE_SETTINGS = ("checkpoint_seconds",)
"""Settings of training that no number depends on."""


def replicates(study: Mapping[str, Any]) -> str:
    """Return how many replicates what is run has, e.g. `3 or 5 replicates`."""
    counts = sorted({e["replicates"] for e in chosen_experiments(study).values()})
    return " or ".join(map(str, counts)) + (" replicate" if counts == [1] else " replicates")


def describe_experiment(study: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    """Return pairs of key and text: data, pixels, model, parts, replicates, partition, pretraining.

    Where the experiment has settings for single methods, or methods that are not run, those too.
    """
    experiment = study["experiments"][name]
    pretrain = experiment["pretrain"]
    left_out = chains_left_out(study).get(name)
    own = [
        f"{study['methods'][method]['label']}: {settings(changes)}"
        for method, changes in experiment["settings"].items()
    ]
    return [
        ("Data set", options(experiment["dataset"])),
        ("Pixels", options(experiment["pixels"])),
        ("Model", options(experiment["model"])),
        ("Numbers of parts T", ", ".join(map(str, experiment["parts"]))),
        ("Replicates", str(experiment["replicates"])),
        ("Partition", settings(experiment["partition"])),
        ("Pretraining", "none" if pretrain is None else settings(pretrain) or "as the study"),
        *([("Settings for single methods", "; ".join(own))] if own else []),
        *([("Not run", "; ".join(left_out))] if left_out else []),
    ]


def describe_method(study: Mapping[str, Any], experiment: str, method: str) -> list[str]:
    """Return label, family, prior, training, objective and scoring as an experiment uses them."""
    chosen = method_settings(study, experiment, method)
    training = {k: v for k, v in chosen["training"].items() if k not in MACHINE_SETTINGS}
    return [
        study["methods"][method]["label"],
        options(chosen["family"]),
        options(chosen["prior"]),
        settings(training),
        _objective(chosen),
        settings(_scoring(study, experiment, method)),
    ]


def _scoring(study: Mapping[str, Any], experiment: str, method: str) -> dict[str, Any]:
    scored = scored_share(study, experiment, method)
    whole_or_part = "all" if scored == 1 else share(scored)
    return evaluation_settings(study, method) | {"test_images": whole_or_part}


def _objective(chosen: Mapping[str, Any]) -> str:
    family, scale = chosen["family"], chosen["objective"]["kl_scale"]
    if kind_constraints("family", family["kind"])["bayesian"]:
        tempered = " (tempered: no variational bound)" if scale != 1 else ""
        return settings(chosen["objective"]) + tempered
    if family.get("l2"):
        return f"NLL and kl_scale {scale:g} × the pull of l2; no KL"
    return "NLL alone: no KL"


def overrides(study: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the keys that the study's budget overrides, as dotted paths with their values."""
    changes = study.get("budgets", {}).get(study["budget"], {})
    return [(key, value(content)) for key, content in dotted(changes)]


def share(fraction: float) -> str:
    """Return a fraction as text in percent: `100 %`, `2.5 %`."""
    return f"{100 * fraction:.4g} %"


def options(spec: Mapping[str, Any]) -> str:
    """Return `kind (option value, …)`."""
    rest = settings({key: content for key, content in spec.items() if key != "kind"})
    return f"{spec['kind']} ({rest})" if rest else spec["kind"]


def settings(mapping: Mapping[str, Any]) -> str:
    """Return `key value, …` with nested mappings as dotted keys."""
    return ", ".join(f"{key} {value(content)}" for key, content in dotted(mapping))


def value(content: Any) -> str:
    """Return a value of a study as text; null is `none`."""
    if content is None:
        return "none"
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, float):
        return f"{content:g}"
    if isinstance(content, list):
        return "[" + ", ".join(map(value, content)) + "]"
    return str(content)


def dotted(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of every key of nested mappings, joined by dots, with its value."""
    for key, content in mapping.items():
        if isinstance(content, Mapping):
            yield from dotted(content, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", content
