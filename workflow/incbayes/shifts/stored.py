"""What a shift is whose images lie in files: which files these are, and which of them count."""

from typing import Any, ClassVar


class StoredShift:
    """Copies of all test images, changed by others, a file of each kind of change.

    Attributes:
        constraints: `by_value`, as a level is named by its strength; `strengths`, how many there
            are of every image, one after the other in blocks of all test images; `images` and
            `labels`, where the files of a corruption `{name}` lie below the folder.
        source: the option with the folder.
        names: the option with the corruptions.
        levels: the option with the strengths, from 1.
    """

    constraints: ClassVar[dict[str, Any]]
    source: str
    names: list[str]
    levels: list[int]


SOURCE = "The folder, unpacked; absolute or relative to the key `data_root`."
NAMES = (
    "Corruptions, each of which must be there, and over which the mean is; by default the {} "
    "of the benchmark."
)
