"""What a shift is: levels, and what one of them makes of images."""

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Shift:
    """Changes of stored pixels, of rising strength.

    Attributes:
        constraints: `by_value`, whether a level is named by its value; else by its place, from 1.
        levels: the option with the strengths.
    """

    constraints: ClassVar[dict[str, Any]] = {"by_value": False}
    levels: list[Any]

    def changed(self, images: "Tensor", level: float, generator: "np.random.Generator") -> "Tensor":
        """Return images at a level.

        Args:
            images: stored pixels, uint8 [N, C, H, W].
            level: one of `levels`.
            generator: of what is drawn.
        """
        raise NotImplementedError
