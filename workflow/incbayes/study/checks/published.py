"""Checks that nothing is stated of a method that its `reading: as_published` would overrule.

A study's method may state such a switch for a twin that takes it as written; what an experiment
states for one method alone, or a search tries, would be shown and never used.
"""

from collections.abc import Iterator

from incbayes.study.model import Study, to_plain
from incbayes.study.published_code import as_published
from incbayes.study.settings import PUBLISHED
from incbayes.study.yaml import KeyPath, StudyError, shown


def check_readings(study: Study) -> None:
    """Check the settings of single methods, and a search, of a study in normal form.

    Raises:
        StudyError: the first that has no effect.
    """
    for path, method, setting, found in _stated(study):
        section, _, key = setting.partition(".")
        published = method in study.methods and study.methods[method].reading == PUBLISHED
        switches = as_published(section, {key}) if published else {}
        if key in switches and found != switches[key]:
            raise StudyError(
                path,
                f"found {shown(found)}, and `reading: as_published` of {method} sets "
                f"{shown(switches[key])}; leave the key out, or make another method of it",
            )


def _stated(study: Study) -> Iterator[tuple[KeyPath, str, str, object]]:
    """Yield path, method, dotted key and value of what is stated or tried of a single method."""
    for name, experiment in study.experiments.items():
        for method, changes in experiment.settings.items():
            for section, stated in to_plain(changes).items():
                for key, found in stated.items():
                    path = ("experiments", name, "settings", method, section, key)
                    yield path, method, f"{section}.{key}", found
    for name, methods in study.tune.search.items() if study.tune else ():
        for method, tried in methods.items():
            for setting, values in tried.items():
                yield ("tune", "search", name, method, setting), method, setting, values
