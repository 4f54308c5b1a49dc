"""How the posterior of a stage is evaluated."""

from typing import Annotated, Literal

from msgspec import Meta

from incbayes.study.model.base import Images, Section

Samples = Annotated[int, Meta(ge=1, le=100_000)]


class EvaluationSettings(Section, frozen=True, kw_only=True):
    """How the posterior of every stage is evaluated.

    Attributes:
        samples: Draws from the posterior over which predictions are averaged.
        earlier_samples: As many draws for the stages before the last, which show how a chain gets
            there and cost most of a long chain's evaluation; null takes `samples` there too. With
            fewer, mutual information comes out smaller, and stages cannot be compared in it.
        batch_size: Images per batch, which bounds the memory; it does not change the result.
        precision: Arithmetic of the networks that predict. `bf16` rounds weights and images to 8
            bits of mantissa: several times faster on processors that have it, probabilities to
            about 0.01.
        part_images: How many images of each part seen so far are evaluated: the first ones of the
            part, which is cut at random; of a stream, whose parts are sorted, always the same
            random ones. null evaluates all.
        test_images: `all` of the test set, or the same share of it as the `fraction` of the
            training images.
        calibration_bins: Bins of confidence, of equal width, for the calibration error and the
            reliability diagram. A confidence on an edge counts in the bin above it, and 1 in the
            last.
        metrics: Metrics from outside the library, beside its own: `package.module:METRIC` or
            `file:PATH.py:METRIC`, each an `incbayes.metrics.base.Metric`.
    """

    samples: Samples = 100
    earlier_samples: Samples | None = None
    batch_size: Images = 1000
    precision: Literal["fp32", "bf16"] = "fp32"
    part_images: Images | None = 1000
    test_images: Literal["all", "training_fraction"] = "all"
    calibration_bins: Annotated[int, Meta(ge=1, le=10_000)] = 15
    metrics: tuple[str, ...] = ()

    @property
    def samples_before(self) -> int:
        """Draws for the stages before the last."""
        return self.earlier_samples or self.samples
