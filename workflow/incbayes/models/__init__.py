"""The registry of network architectures: plain `nn.Module`s without any Bayes in them."""

from incbayes.registry import Registry

MODELS = Registry(
    "model",
    {
        "mlp": "incbayes.models.mlp:MLP",
        "lenet5": "incbayes.models.lenet5:LeNet5",
        "conv3fc3": "incbayes.models.conv3fc3:Conv3FC3",
        "digits_net": "incbayes.models.digits_net:DigitsNet",
    },
)
