"""What tests of the torchvision sets ask for: no network, and sets of a few images."""

import urllib.error
import urllib.request

import pytest
from torchvision_files import SETS, SMALL

from incbayes.kinds import DATASETS


@pytest.fixture
def offline(monkeypatch):
    """Make every attempt to use the network fail at once, and record it."""
    attempts = []

    def refuse(request, *_, **__):
        attempts.append(request.full_url)
        raise urllib.error.URLError("network is off")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return attempts


@pytest.fixture
def small(monkeypatch):
    """Let every set be small: 40 training and 20 test images."""
    for name in SETS:
        cls = DATASETS[name]
        monkeypatch.setattr(cls, "constraints", {**cls.constraints, **SMALL})
