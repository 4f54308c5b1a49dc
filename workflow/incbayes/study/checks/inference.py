"""Checks of how posteriors are found: what an algorithm knows, and what a study asks of it."""

from msgspec import UNSET

from incbayes.core.outside import is_outside
from incbayes.study.model import Experiment, MethodSettings, Study
from incbayes.study.schema import kind_constraints
from incbayes.study.settings import mean_scale_of, method_settings
from incbayes.study.streams import arrives
from incbayes.study.yaml import StudyError, shown


def check_suitable(study: Study, name: str) -> None:
    """Check that a method's inference algorithm can fit its family and layers, and its prior suits.

    Raises:
        StudyError: naming the key.
    """
    family = study.methods[name].family.kind
    algorithm = study.methods[name].inference.kind
    suitable = kind_constraints("inference", algorithm).get("families")
    if suitable is not None and family not in suitable:
        raise StudyError(
            ("methods", name, "inference"),
            f"{algorithm} cannot fit the family {family}; it fits: {', '.join(suitable)}",
        )
    of_family = kind_constraints("family", family)
    fitted_by = of_family.get("fitted_by")
    if fitted_by is not None and algorithm not in fitted_by and not is_outside(algorithm):
        raise StudyError(
            ("methods", name, "inference"),
            f"{algorithm} cannot fit the family {family}, which is fitted by: "
            f"{', '.join(fitted_by)}",
        )
    prior = study.methods[name].prior.kind
    if of_family.get("one_width", False) and "fisher" in kind_constraints("prior", prior):
        raise StudyError(
            ("methods", name, "prior"),
            f"{prior} has a width for every weight, and the family {family} one for a layer; "
            "allowed: normal, grid",
        )
    bayesian = study.methods[name].bayesian
    of_all = kind_constraints("inference", algorithm).get("all_layers", False)
    if of_all and bayesian not in (UNSET, "all"):
        detail = f"found {shown(bayesian)}, but {algorithm} fits no points; leave it out"
        raise StudyError(("methods", name, "bayesian"), detail)


def check_inference(experiment: str, study: Study) -> None:
    """Check that every method's algorithm knows the objective, the data and the prior it is given.

    Raises:
        StudyError: naming the method and the key.
    """
    for name in study.experiments[experiment].methods:
        settings = method_settings(study, experiment, name)
        _check_objective(name, settings)
        facts = kind_constraints("inference", settings.inference.kind)
        if facts.get("all_epochs", False) and settings.training.plateau is not None:
            raise StudyError(
                ("methods", name, "training", "plateau"),
                f"{settings.inference.kind} needs the last epochs of a stage, and a plateau may "
                "end it before; give this method null",
            )
        if facts.get("all_parts", False):
            _check_all_parts(name, settings, study.experiments[experiment])
        elif "keeps" in facts and arrives(study.experiments[experiment].dataset):
            raise StudyError(
                ("methods", name, "inference"),
                f"{settings.inference.kind} keeps images of earlier parts, and those of a stream "
                "may be gone; leave the method out",
            )


def _check_objective(name: str, settings: MethodSettings) -> None:
    algorithm, path = settings.inference.kind, ("methods", name, "objective")
    facts = kind_constraints("inference", algorithm)
    for key, known in facts.get("objective", {}).items():
        found = getattr(settings.objective, key)
        if found not in known:
            allowed = ", ".join(shown(value) for value in known)
            raise StudyError(
                (*path, key),
                f"found {shown(found)}, which {algorithm} does not know; give this method "
                f"{allowed}",
            )
    if settings.objective.warmup_epochs > settings.training.epochs:
        raise StudyError(
            (*path, "warmup_epochs"),
            f"found {settings.objective.warmup_epochs}, but a stage has "
            f"{settings.training.epochs} epochs, so that the KL would never have its weight; give "
            "this method as many or fewer",
        )
    if not facts.get("weighs_prior"):
        return
    scale = mean_scale_of(settings.family)
    if scale != 1:
        raise StudyError(
            ("methods", name, "family", "mean_scale"),
            f"found {scale:g}, which {algorithm} does not know; leave it out",
        )
    if settings.objective.kl_scale == 0:
        raise StudyError(
            (*path, "kl_scale"),
            f"found 0, at which the posterior of {algorithm} has no width; give this method more",
        )


def _check_all_parts(name: str, settings: MethodSettings, experiment: Experiment) -> None:
    algorithm, prior = settings.inference.kind, settings.prior.kind
    if arrives(experiment.dataset):
        raise StudyError(
            ("methods", name, "inference"),
            f"{algorithm} is fitted to all parts so far, and those of a stream may be gone; leave "
            "the method out",
        )
    facts = kind_constraints("prior", prior)
    if facts.get("needs_source", False) or "continues" in facts:
        made = "continues another chain" if "continues" in facts else "is made from a source task"
        raise StudyError(
            ("methods", name, "prior"),
            f"{prior} {made}, which {algorithm} does not take; allowed: normal",
        )
