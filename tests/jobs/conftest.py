"""Chains that the tests of jobs begin with; a file may have others of these names."""

import pytest
from tiny_chain import first_fitted, fitted_chain


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A chain of two stages, both fitted."""
    return fitted_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def chain(fitted, tmp_path):
    """A chain of which the first stage is fitted."""
    return first_fitted(fitted, tmp_path / "chain")
