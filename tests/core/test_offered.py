"""What the library offers by its own name."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import incbayes


@pytest.mark.parametrize("name", incbayes.__all__)
def test_every_name_that_is_offered_is_there(name):
    assert getattr(incbayes, name) is not None and name in dir(incbayes)


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = incbayes.nothing


def test_importing_it_imports_nothing_of_it():
    code = "import incbayes, sys; print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.mark.parametrize(
    "module",
    [
        module.name
        for module in pkgutil.walk_packages(incbayes.__path__, "incbayes.")
        if not module.name.endswith("__main__")
    ],
)
def test_every_module_can_be_imported(module):
    importlib.import_module(module)
