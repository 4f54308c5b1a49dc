"""What a study did, in words: its experiments, its methods, and what a budget changed.

Knows the resolved form of a study; knows nothing of results.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import UNSET

from incbayes.core.outside import is_outside
from incbayes.figures.context import in_percent
from incbayes.kinds import PIXELS
from incbayes.study.chains import chains_left_out
from incbayes.study.model import Experiment, KindSpec, MethodSettings, Study, to_plain
from incbayes.study.schema import kind_constraints
from incbayes.study.settings import (
    evaluation_settings,
    mean_scale_of,
    method_settings,
    penalty_of,
    scored_share,
)
from incbayes.study.tables import is_table

USUAL_INFERENCE, USUAL_LIKELIHOOD = "vi", "categorical"
"""What a report does not say of a method and of an experiment."""


def replicates(counts: Iterable[int]) -> str:
    """Return how many replicates chains have, e.g. `3, 5 or 10`."""
    *others, last = map(str, sorted(set(counts)))
    return f"{', '.join(others)} or {last}" if others else last


def describe_experiment(study: Study, name: str, counts: Iterable[int]) -> list[tuple[str, str]]:
    """Return pairs of key and text: data, pixels, model, parts, replicates, partition, pretraining.

    Where the experiment has another likelihood than usual, settings for single methods, or methods
    that are not run, those too.

    Args:
        study: in its resolved form.
        name: of the experiment.
        counts: of the replicates of its chains.
    """
    experiment = study.experiments[name]
    pretrain, likelihood = experiment.pretrain, options(experiment.likelihood)
    pretrained = "none" if pretrain is None else settings(to_plain(pretrain)) or "as the study"
    left_out = chains_left_out(study).get(name)
    augmented = _augmentation(experiment)
    own = [
        f"{study.methods[method].label}: {settings(to_plain(changes))}"
        for method, changes in experiment.settings.items()
    ]
    return [
        ("Data set", options(experiment.dataset)),
        (
            "Columns" if is_table(experiment.dataset) else "Pixels",
            PIXELS.build(experiment.pixels).words(
                experiment.trains_source or experiment.source_data is not None
            ),
        ),
        *([("Augmentation", augmented)] if augmented else []),
        ("Model", options(experiment.model)),
        *([("Likelihood", likelihood)] if likelihood != USUAL_LIKELIHOOD else []),
        ("Numbers of parts T", ", ".join(map(str, experiment.parts))),
        ("Replicates", replicates(counts)),
        ("Partition", settings(to_plain(experiment.partition))),
        ("Pretraining", pretrained),
        *([("Settings for single methods", "; ".join(own))] if own else []),
        *([("Not run", "; ".join(left_out))] if left_out else []),
    ]


def _augmentation(experiment: Experiment) -> str:
    """Return how the images of training are changed; nothing where they are not."""
    chosen = experiment.augmentation
    if chosen is UNSET:
        return ""
    crop = [f"random crops after {chosen.crop} pixels of padding"] if chosen.crop else []
    return " and ".join([*crop, *(["random flips"] if chosen.flip else [])]) + ", in training alone"


def describe_method(study: Study, experiment: str, method: str) -> list[str]:
    """Return label, family, prior, training, objective and scoring as an experiment uses them."""
    chosen = method_settings(study, experiment, method)
    return [
        study.methods[method].label,
        _posterior(chosen, is_outside(study.experiments[experiment].model.kind)),
        options(chosen.prior),
        settings(to_plain(chosen.training)),
        _objective(chosen),
        settings(_scoring(study, experiment, method)),
    ]


def _posterior(chosen: MethodSettings, of_own_network: bool) -> str:
    """Return the family, what it is over, and how it was fitted, where that is not the usual way.

    Args:
        chosen: settings of the method.
        of_own_network: whether the network may have normalisation; those of the library have none.
    """
    family, inference = options(chosen.family), options(chosen.inference)
    said = [family]
    if chosen.bayesian == "last_layer":
        said.append("over the last layer, all others points without a penalty")
    elif isinstance(chosen.bayesian, tuple):
        layers = ", ".join(chosen.bayesian)
        said.append(f"over the layers {layers}, all others points without a penalty")
    if chosen.normalisation == "variational":
        said.append("scales and shifts of normalisation Gaussian")
    elif of_own_network and kind_constraints("family", chosen.family.kind).get("bayesian", True):
        said.append("scales and shifts of normalisation, if any, points without a penalty")
    if inference != USUAL_INFERENCE:
        said.append(f"fitted by {inference}{_data_kept(chosen)}")
    return ", ".join(said)


def _data_kept(chosen: MethodSettings) -> str:
    """Return what is said of a method that keeps images of earlier parts; nothing of others."""
    facts = kind_constraints("inference", chosen.inference.kind)
    if facts.get("all_parts", False):
        return ", which keeps all data"
    if "keeps" in facts:
        kept = chosen.inference.options[facts["keeps"]]
        return f", which keeps {kept} images of earlier parts"
    return ""


def _scoring(study: Study, experiment: str, method: str) -> dict[str, Any]:
    scored = scored_share(study, experiment, method)
    whole_or_part = "all" if scored == 1 else in_percent(scored)
    scoring: dict[str, Any] = to_plain(evaluation_settings(study, method))
    return scoring | {"test_images": whole_or_part}


def _objective(chosen: MethodSettings) -> str:
    family, scale = chosen.family, chosen.objective.kl_scale
    if kind_constraints("family", family.kind)["bayesian"]:
        no_bound = " (tempered: no variational bound)" if scale != 1 else ""
        if mean_scale_of(family) != 1:
            no_bound += f" (means weighed by {mean_scale_of(family):g}: no variational bound)"
        return settings(to_plain(chosen.objective)) + no_bound
    if penalty_of(family):
        return f"NLL and kl_scale {scale:g} × the penalty of {penalty_of(family)}; no KL"
    return "NLL alone: no KL"


def overrides(study: Study) -> list[tuple[str, str]]:
    """Return the keys that the study's budget overrides, as dotted paths with their values."""
    changes = study.budgets.get(study.budget, {})
    return [(key, value(content)) for key, content in dotted(changes)]


def options(spec: KindSpec) -> str:
    """Return `kind (option value, …)`."""
    rest = settings(spec.options)
    return f"{spec.kind} ({rest})" if rest else spec.kind


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
