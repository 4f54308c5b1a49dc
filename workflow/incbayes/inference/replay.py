"""Fine-tuning on a part and on a reservoir of earlier images: experience replay."""

from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.core.options import option
from incbayes.inference.base import Problem
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import VariationalRun


@dataclass(frozen=True)
class Replay(ByAdam):
    """Fine-tuning on a part together with some images of earlier parts, which are kept.

    The images are a uniform sample of all that were seen, by reservoir sampling (Vitter 1985), as
    experience replay has it (Chaudhry et al. 2019); an epoch goes over part and reservoir, shuffled
    together. Of points alone, as a posterior would count the images that it has seen twice.
    """

    images: int = option(200, "Images of earlier parts that are kept.", minimum=1, maximum=10**9)

    constraints: ClassVar[dict[str, Any]] = {
        "families": ["point"],
        "step_cost": 1,
        "bytes_per_weight": 200,
        "keeps": "images",
    }

    def begin(self, problem: Problem) -> VariationalRun:
        """Return the run of one replicate, whose part has the reservoir in it."""
        return VariationalRun(problem)
