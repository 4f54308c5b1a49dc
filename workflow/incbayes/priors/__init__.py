"""The registry of first-stage priors: what q is regularised to before any part was seen."""

from incbayes.registry import Registry

PRIORS = Registry(
    "prior",
    {
        "normal": "incbayes.priors.normal:Normal",
        "pretrained": "incbayes.priors.pretrained:Pretrained",
        "grid": "incbayes.priors.grid:Grid",
        "laplace": "incbayes.priors.laplace:Laplace",
        "transfer": "incbayes.priors.transfer:Transfer",
    },
)
