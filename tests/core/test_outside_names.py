"""Kinds from outside the library: none can take the place of one of the library's own."""

import pytest

from incbayes import kinds
from incbayes.core.outside import is_outside
from incbayes.core.registry import Registry

REGISTRIES = {name: found for name, found in vars(kinds).items() if isinstance(found, Registry)}


@pytest.mark.parametrize("name", REGISTRIES)
def test_names_of_the_library_and_from_outside_cannot_be_the_same(name):
    assert not [kind for kind in REGISTRIES[name] if is_outside(kind)]
    assert is_outside("file:nets.py:ffg") and not is_outside("ffg")
