"""The registry of posterior families: the forms that q(w) may take."""

from incbayes.registry import Registry

FAMILIES = Registry(
    "family",
    {
        "point": "incbayes.families.point:Point",
        "ffg": "incbayes.families.ffg:FullyFactorisedGaussian",
        "cfg": "incbayes.families.cfg:ChannelFactorisedGaussian",
        "mnf": "incbayes.families.mnf:MultiplicativeNormalisingFlow",
        "planar": "incbayes.families.planar:Planar",
    },
)
