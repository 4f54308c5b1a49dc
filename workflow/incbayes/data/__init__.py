"""The registries of data sets and of pixel scalings.

Data sets deliver raw images; what every job reads are the files that `prepared` makes of them.
"""

from incbayes.registry import Registry

DATASETS = Registry(
    "data set",
    {
        "digits": "incbayes.data.digits:Digits",
        "mnist": "incbayes.data.torchvision_sets:MNIST",
        "fashion_mnist": "incbayes.data.torchvision_sets:FashionMNIST",
        "kmnist": "incbayes.data.torchvision_sets:KMNIST",
        "cifar10": "incbayes.data.torchvision_sets:CIFAR10",
        "cifar100": "incbayes.data.torchvision_sets:CIFAR100",
        "svhn": "incbayes.data.torchvision_sets:SVHN",
        "image_folder": "incbayes.data.image_folder:ImageFolder",
    },
)

PIXELS = Registry(
    "pixel scaling",
    {
        "standard": "incbayes.data.pixels:Standard",
        "divide": "incbayes.data.pixels:Divide",
    },
)
