"""The code of the kinds that a study uses: its check and its digests, and nothing is imported.

Knows which registries a study names entries of, and which of them fits and scores run. What fails
only when a module is imported or a kind is built is found at run time, by `registry`.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping

from incbayes.core.outside import is_outside, parted
from incbayes.core.registry import Registry
from incbayes.kinds import (
    CLAIM_TESTS,
    DATASETS,
    FIGURES,
    METRICS,
    OF_A_METHOD,
    OF_AN_EXPERIMENT,
    OF_SCORES,
)
from incbayes.orchestration.code_digest import CodeError, code_digest, module_file, module_tree
from incbayes.study.chains import chosen_chains
from incbayes.study.model import KindSpec, Study
from incbayes.study.shifts import changed_images

FITTING_JOBS = (
    "fit",
    "fit_part",
    "pretrain",
    "fisher",
    "choose_variance",
    "evaluate",
    "evaluate_part",
)

OF_A_FIT = {key: OF_AN_EXPERIMENT[key] for key in ("model", "pixels", "likelihood")}
"""Of an experiment, the kinds whose code a fit runs; a data set's runs when it is prepared."""


def check_kinds(study: Study) -> None:
    """Check that the module of every kind in use is Python, and defines what is registered.

    Args:
        study: in normal form.

    Raises:
        CodeError: naming the file, and the line or what it lacks.
    """
    # Of a class from outside the library the schema of the study has said so already.
    used = [(r.noun, name, *r.entry(name)) for r, name in _used(study) if not is_outside(name)]
    for noun, name, module, attribute in dict.fromkeys(used):
        path, tree = module_file(module), module_tree(module)
        try:
            compile(tree, str(path), "exec")  # finds more than its parser, such as a stray return
        except SyntaxError as error:
            raise CodeError.of(path, error) from error
        if attribute not in _defined(tree):
            raise CodeError(
                f"{path}: defines no {attribute}, which is registered as the {noun} {name}"
            )


def digests_of(registry: Registry, kinds: Iterable[str]) -> dict[str, str]:
    """Return the digest of the code of kinds, by name."""
    return {name: code_digest(registry.module(name)) for name in kinds}


def code_of_claims(study: Study) -> dict[str, str]:
    """Return the digests of the relations in use, and of metrics that no job scores, by name."""
    claims = study.claims.values()
    over_stages = {c.metric for c in claims if METRICS[c.metric].of == "stages"}
    relations = digests_of(CLAIM_TESTS, [claim.relation.kind for claim in claims])
    return relations | digests_of(METRICS, sorted(over_stages))


def metric_modules(study: Study) -> list[str]:
    """Return the modules of all metrics that a study's posteriors are scored by."""
    return [METRICS.module(name) for name in (*METRICS, *study.evaluation.metrics)]


def modules_of_scores(changed: Mapping[str, Mapping[str, KindSpec]]) -> list[str]:
    """Return the modules of the outliers and shifts that scoring makes itself.

    Args:
        changed: as `study.shifts.changed_images` returns them.
    """
    return [
        OF_SCORES[key].module(spec.kind)
        for key, specs in changed.items()
        for spec in specs.values()
        if spec.kind not in DATASETS
    ]


def code_of_fits(study: Study) -> str:
    """Return the digest of all code that fits and scores, used or not: runs can be compared.

    Of code outside the library what the study uses counts.
    """
    kinds = (*OF_A_FIT.values(), *OF_A_METHOD.values())
    modules = [module for registry in kinds for module in registry.modules]
    everything = {key: {k: KindSpec(k) for k in registry} for key, registry in OF_SCORES.items()}
    modules += modules_of_scores(everything)
    modules += metric_modules(study)
    for sections, keys in ((study.experiments, OF_A_FIT), (study.methods, OF_A_METHOD)):
        used = [getattr(section, key).kind for section in sections.values() for key in keys]
        modules += [parted(kind)[0] for kind in used if is_outside(kind)]
    return code_digest(*(f"scripts.{job}" for job in FITTING_JOBS), *modules)


def _used(study: Study) -> Iterator[tuple[Registry, str]]:
    """Yield the registries and the names of their entries that the chosen chains use."""
    for experiment, method, _ in chosen_chains(study):
        described, settings = study.experiments[experiment], study.methods[method]
        for key, registry in OF_AN_EXPERIMENT.items():
            yield registry, getattr(described, key).kind
        for key, specs in changed_images(described).items():
            yield from ((OF_SCORES[key], spec.kind) for spec in specs.values())
        for key, registry in OF_A_METHOD.items():
            yield registry, getattr(settings, key).kind
    for claim in study.claims.values():
        yield CLAIM_TESTS, claim.relation.kind
    for registry in (METRICS, FIGURES):
        for name in registry:
            yield registry, name


def _defined(tree: ast.Module) -> set[str]:
    """Return the names that a module defines, assigns or imports on its first level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        else:
            names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return names
