"""Checks that nothing is stated of a method that its `reading: as_published` would overrule.

A study's method may state such a switch for a twin that takes it as written; what an experiment
states for one method alone, or a search tries, would be shown and never used.
"""

from collections.abc import Container

from incbayes.study.model import Study, to_plain
from incbayes.study.published_code import as_published
from incbayes.study.settings import PUBLISHED
from incbayes.study.yaml import StudyError, shown


def check_readings(study: Study) -> None:
    """Check the settings of single methods, and a search, of a study in normal form.

    Raises:
        StudyError: the first that has no effect.
    """
    for name, experiment in study.experiments.items():
        for method, changes in experiment.settings.items():
            for section, stated in to_plain(changes).items():
                path = ("experiments", name, "settings", method, section)
                for key, value in _overruled(study, method, section, stated).items():
                    if stated[key] != value:
                        raise StudyError((*path, key), _said(method, stated[key], value))
    for name, methods in study.tune.search.items() if study.tune else ():
        for method, tried in methods.items():
            for setting in tried:
                section, _, key = setting.partition(".")
                for value in _overruled(study, method, section, [key]).values():
                    path = ("tune", "search", name, method, setting)
                    raise StudyError(path, _said(method, tried[setting], value))


def _overruled(
    study: Study, method: str, section: str, keys: Container[str]
) -> dict[str, str | int]:
    published = method in study.methods and study.methods[method].reading == PUBLISHED
    return as_published(section, keys) if published else {}


def _said(method: str, found: object, value: object) -> str:
    return (
        f"found {shown(found)}, and `reading: as_published` of {method} sets {shown(value)}; leave "
        "the key out, or make another method of it"
    )
