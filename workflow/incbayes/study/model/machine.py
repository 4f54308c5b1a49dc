"""Where and how jobs run."""

from typing import Annotated, Literal

from msgspec import Meta

from incbayes.study.model.base import Section


class MachineSettings(Section, frozen=True, kw_only=True):
    """Where and how jobs run; no part of what a result is, so that a change repeats nothing.

    Attributes:
        device: What to compute on; `auto` takes a CUDA device where there is one.
        checkpoint_seconds: Seconds between checkpoints within a stage, from which a killed job goes
            on; they do not change the result.
        replicates: How the replicates of a block are fitted: `stacked`, their steps taken at once
            as one program, `in_turn`, one after the other, or `auto`, stacked on a CUDA device and
            in turn on a CPU, where that is faster. Each draws the same noise and sees its images in
            the same order either way, so that results differ by rounding only. Replicates whose
            parts have unequal numbers of images are fitted in turn.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    checkpoint_seconds: Annotated[float, Meta(gt=0, le=100_000_000)] = 60.0
    replicates: Literal["auto", "stacked", "in_turn"] = "auto"
