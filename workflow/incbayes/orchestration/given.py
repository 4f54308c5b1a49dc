"""What the rules ask of weights of a file: where it is, its digest, and what it was fitted to."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from msgspec import UnsetType

from incbayes.core.errors import UserError
from incbayes.core.files import sha256_file
from incbayes.kinds import PIXELS
from incbayes.orchestration.networks import given_outputs
from incbayes.study.chains import chosen_experiments
from incbayes.study.checks.given import weights_file
from incbayes.study.datasets import data_name
from incbayes.study.model import MethodSettings, Study
from incbayes.study.settings import prior_option
from incbayes.study.streams import arrives
from incbayes.study.yaml import StudyError


class GivenWeights:
    """Weights of files, by experiment, as the rules see them."""

    def __init__(self, study: Study, settings: Callable[[str, str], MethodSettings]):
        """Take a study in normal form, and what returns the settings of a method in it."""
        self._study, self._settings = study, settings
        self.outputs, self.digest = cache(self._outputs), cache(self._digest)

    def file(self, experiment: str) -> Path | None:
        """Return the file with the weights that an experiment's priors are made from, or None.

        Raises:
            StudyError: it is not there.
        """
        path = ("experiments", experiment)
        found = weights_file(self._study.experiments[experiment], path)
        if found is not None and not found.is_file():
            raise StudyError((*path, "pretrain", "weights"), f"there is no file {found}")
        return found

    def _digest(self, experiment: str) -> str | None:
        """Return the SHA-256 of that file; None without one."""
        path = self.file(experiment)
        return None if path is None else sha256_file(path)

    def digests(self) -> dict[str, str]:
        """Return the digest of each chosen experiment that has such a file, but for streams.

        A stream goes on without it, and is not published beside others.
        """
        found = {
            name: self.digest(name)
            for name, experiment in chosen_experiments(self._study).items()
            if not arrives(experiment.dataset)
        }
        return {name: digest for name, digest in found.items() if digest is not None}

    def data(self, experiment: str) -> str | None:
        """Return the name of the data set that the weights were fitted to; None without."""
        source = self._study.experiments[experiment].source_data
        return None if source is None else data_name(source)

    def data_of(self, experiment: str, method: str) -> str | None:
        """Return the same where the first stage of a method depends on it; None elsewhere.

        Its prior takes a Fisher information from there, or its pixels are scaled by numbers of it.
        """
        prior = self._settings(experiment, method).prior
        scaling = PIXELS.build(self._study.experiments[experiment].pixels)
        scaled = scaling.of_first_images and prior_option(prior, "continues") is None
        return self.data(experiment) if scaled or prior_option(prior, "fisher") else None

    def images(self, experiment: str) -> int | None:
        """Return how many images the weights were fitted to, where a study states it."""
        pretrain = self._study.experiments[experiment].pretrain
        stated = None if pretrain is None else pretrain.images
        return None if isinstance(stated, UnsetType) else stated

    def _outputs(self, experiment: str) -> int | None:
        """Return how many outputs the network of the weights has; None if it is not known."""
        try:
            return given_outputs(self._study, experiment)
        except UserError:  # which is said where the file is taken
            return None
