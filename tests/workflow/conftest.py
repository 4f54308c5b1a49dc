"""A chain over three parts of a stream, fitted once a file of tests, and copies to disturb."""

import shutil

import pytest
from stream_study import fitted


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A chain that was fitted to three parts."""
    return fitted(tmp_path_factory.mktemp("three"))


@pytest.fixture
def chain(three, tmp_path):
    """A copy of it."""
    return shutil.copytree(three, tmp_path / "chain", symlinks=True)
