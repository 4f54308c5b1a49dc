"""A model's class from a file that the caller names: the one code that is not the library's."""

from pathlib import Path

from incbayes.core.errors import UserError
from incbayes.core.outside import module_of_file
from incbayes.core.registry import blaming, nearest

EXPECTED = "FILE.py:Class"


class OwnModelError(UserError, ValueError):
    """A file or a class of one's own that is not there."""


def own_model(named: str | None) -> type | None:
    """Return the class that `FILE.py:Class` names, whose file is run; None for None.

    The class is built with the options that a posterior states of its model, and its method
    `build(shape, classes)` returns the network, as of any model here.

    Raises:
        OwnModelError: there is no such file, or no such class in it.
        KindError: the file cannot be imported.
    """
    if named is None:
        return None
    file, colon, name = str(named).rpartition(":")
    path = Path(file)
    if not colon or path.suffix != ".py" or not name.isidentifier():
        raise OwnModelError(f"model: found {named!r}, expected {EXPECTED}")
    if not path.is_file():
        raise OwnModelError(f"model: {file}: no such file")
    with blaming(f"the model's file {path}", "imported"):
        module = module_of_file(path.absolute())
    found = getattr(module, name, None)
    if not isinstance(found, type) or not callable(getattr(found, "build", None)):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise OwnModelError(
            f"model: {file}: has no class {name!r} with a method build(shape, classes)"
            f"{nearest(name, classes)}"
        )
    return found
