"""Names of blocks, each a few replicates that one job carries."""

import re

BLOCK = re.compile(r"r(\d+)-(\d+)", re.ASCII)


def blocks(total: int, size: int, first: int = 0) -> list[str]:
    """Return the names of the blocks of `size` replicates, the last of which may be shorter.

    Three a block, five replicates are `r0-2` and `r3-4`; beginning with 5, `r5-7` and `r8-9`.
    """
    end = first + total
    return [f"r{begin}-{min(begin + size, end) - 1}" for begin in range(first, end, size)]


def block_replicates(block: str) -> range:
    """Return the numbers of the replicates of a block, e.g. 3 and 4 of `r3-4`.

    Raises:
        ValueError: the text is not the name of a block.
    """
    match = BLOCK.fullmatch(block)
    first, last = map(int, match.groups()) if match else (1, 0)
    if first > last:
        raise ValueError(f"block {block!r}: expected r<first>-<last>, such as r0-4")
    return range(first, last + 1)
