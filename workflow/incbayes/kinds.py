"""Every registry of exchangeable parts: one line a kind.

A new kind is one file and one line here. Importing this costs nothing: a kind's module is imported
when the kind is first used, so that planning a study does not pay for importing torch. Where a
registry is open, a study may also name a class of its own (docs/your-network.md).
"""

from incbayes.core.registry import Registry

IMAGES = {
    "digits": "incbayes.data.digits:Digits",
    "mnist": "incbayes.data.torchvision.mnist:MNIST",
    "fashion_mnist": "incbayes.data.torchvision.mnist:FashionMNIST",
    "kmnist": "incbayes.data.torchvision.mnist:KMNIST",
    "cifar10": "incbayes.data.torchvision.cifar:CIFAR10",
    "cifar100": "incbayes.data.torchvision.cifar:CIFAR100",
    "svhn": "incbayes.data.torchvision.svhn:SVHN",
    "image_folder": "incbayes.data.image_folder:ImageFolder",
}
"""Data sets of images with a test set: experiments are on them, and outliers may be of them."""

DATASETS = Registry(
    "data set",
    {
        **IMAGES,
        "image_stream": "incbayes.data.image_stream:ImageStream",
        "table": "incbayes.data.table:Table",
        "table_stream": "incbayes.data.table_stream:TableStream",
        "breast_cancer": "incbayes.data.embedded_tables:BreastCancer",
        "diabetes": "incbayes.data.embedded_tables:Diabetes",
    },
)
"""They deliver raw images or rows, of which `data.prepared` makes the files that jobs read."""

OUTLIERS = Registry(
    "outlier set",
    {
        "rotated": "incbayes.outliers.rotated:Rotated",
        "shuffled": "incbayes.outliers.shuffled:Shuffled",
        **IMAGES,
    },
)
"""Images that are none of the task: made of its test images, or the test images of a data set."""

SHIFTS = Registry(
    "shift",
    {
        "rotation": "incbayes.shifts.rotation:Rotation",
        "gaussian_noise": "incbayes.shifts.gaussian_noise:GaussianNoise",
        "blur": "incbayes.shifts.blur:Blur",
        "brightness": "incbayes.shifts.brightness:Brightness",
        "contrast": "incbayes.shifts.contrast:Contrast",
        "pixelate": "incbayes.shifts.pixelate:Pixelate",
        "cifar_c": "incbayes.shifts.cifar_c:CifarC",
        "mnist_c": "incbayes.shifts.mnist_c:MnistC",
    },
)
"""How test images are changed step by step, while their class stays what it is."""

PIXELS = Registry(
    "pixel scaling",
    {
        "standard": "incbayes.data.pixels:Standard",
        "divide": "incbayes.data.pixels:Divide",
        "columns": "incbayes.data.column_scaling:Columns",
    },
)
"""From stored bytes, or columns of a table, to what a network sees."""

MODELS = Registry(
    "model",
    {
        "mlp": "incbayes.models.mlp:MLP",
        "embedding_mlp": "incbayes.models.embedding_mlp:EmbeddingMLP",
        "lenet5": "incbayes.models.lenet5:LeNet5",
        "conv3fc3": "incbayes.models.conv3fc3:Conv3FC3",
        "digits_net": "incbayes.models.digits_net:DigitsNet",
    },
    open=True,
)
"""Network architectures: plain `nn.Module`s without any Bayes in them."""

FAMILIES = Registry(
    "family",
    {
        "point": "incbayes.families.point:Point",
        "ffg": "incbayes.families.ffg:FullyFactorisedGaussian",
        "cfg": "incbayes.families.cfg:ChannelFactorisedGaussian",
        "mnf": "incbayes.families.mnf:MultiplicativeNormalisingFlow",
        "planar": "incbayes.families.planar:Planar",
        "kron": "incbayes.families.kron:KroneckerGaussian",
        "swag": "incbayes.families.swag:Swag",
        "mc_dropout": "incbayes.families.mc_dropout:McDropout",
    },
    open=True,
)
"""Posterior families: the forms that q(w) may take."""

PRIORS = Registry(
    "prior",
    {
        "normal": "incbayes.priors.normal:Normal",
        "pretrained": "incbayes.priors.pretrained:Pretrained",
        "grid": "incbayes.priors.grid:Grid",
        "laplace": "incbayes.priors.laplace:Laplace",
        "transfer": "incbayes.priors.transfer:Transfer",
        "posterior": "incbayes.priors.posterior:Continued",
    },
    open=True,
)
"""First-stage priors: what q is regularised to before any part was seen."""

LIKELIHOODS = Registry(
    "likelihood",
    {
        "categorical": "incbayes.likelihoods.categorical:Categorical",
        "gaussian": "incbayes.likelihoods.gaussian:Gaussian",
    },
    open=True,
)
"""What the outputs of a network say of the labels."""

ALGORITHMS = Registry(
    "inference algorithm",
    {
        "vi": "incbayes.inference.vi:VariationalInference",
        "ivon": "incbayes.inference.ivon:Ivon",
        "laplace": "incbayes.inference.laplace:OnlineLaplace",
        "function": "incbayes.inference.function:FunctionalPrior",
        "shrink_perturb": "incbayes.inference.shrink_perturb:ShrinkPerturb",
        "averaging": "incbayes.inference.averaging:Averaging",
        "swag": "incbayes.inference.swag:StochasticAveraging",
        "ensemble": "incbayes.inference.ensemble:Ensemble",
        "replay": "incbayes.inference.replay:Replay",
        "cumulative": "incbayes.inference.cumulative:Cumulative",
    },
    open=True,
)
"""How the posterior of a stage is found."""

METRICS = Registry(
    "metric",
    {
        "accuracy": "incbayes.metrics.accuracy:METRIC",
        "nll": "incbayes.metrics.nll:METRIC",
        "brier": "incbayes.metrics.brier:METRIC",
        "ece": "incbayes.metrics.ece:METRIC",
        "cumulative_error": "incbayes.metrics.cumulative_error:METRIC",
        "aurc": "incbayes.metrics.aurc:METRIC",
        "accuracy_at_50": "incbayes.metrics.accuracy_at:AT_50",
        "accuracy_at_60": "incbayes.metrics.accuracy_at:AT_60",
        "accuracy_at_70": "incbayes.metrics.accuracy_at:AT_70",
        "accuracy_at_80": "incbayes.metrics.accuracy_at:AT_80",
        "accuracy_at_90": "incbayes.metrics.accuracy_at:AT_90",
        "nll_tempered": "incbayes.metrics.nll_tempered:METRIC",
        "ece_tempered": "incbayes.metrics.ece_tempered:METRIC",
        "entropy": "incbayes.metrics.uncertainty:ENTROPY",
        "mutual_information": "incbayes.metrics.uncertainty:INFORMATION",
        "auroc_entropy": "incbayes.metrics.auroc:BY_ENTROPY",
        "auroc_information": "incbayes.metrics.auroc:BY_INFORMATION",
        "fpr95_entropy": "incbayes.metrics.fpr95:BY_ENTROPY",
        "fpr95_information": "incbayes.metrics.fpr95:BY_INFORMATION",
        "rmse": "incbayes.metrics.rmse:METRIC",
        "nlpd": "incbayes.metrics.nlpd:METRIC",
        "coverage_50": "incbayes.metrics.coverage:HALF",
        "coverage_90": "incbayes.metrics.coverage:NINE_TENTHS",
    },
    open=True,
)
"""Numbers of predictions and of what was predicted, in the order of reports."""

CLAIM_TESTS = Registry(
    "relation",
    {
        "greater": "incbayes.claims.directional:Greater",
        "less": "incbayes.claims.directional:Less",
        "ordered": "incbayes.claims.ordered:Ordered",
        "equivalent": "incbayes.claims.margin:Equivalent",
        "not_less": "incbayes.claims.margin:NotLess",
        "not_greater": "incbayes.claims.margin:NotGreater",
    },
)
"""What a claim may say of its groups."""

FIGURES = Registry(
    "figure",
    {
        "accuracy_by_parts": "incbayes.figures.accuracy_by_parts:FIGURE",
        "stages": "incbayes.figures.stages:FIGURE",
        "reliability": "incbayes.figures.reliability:FIGURE",
        "risk_coverage": "incbayes.figures.risk_coverage:FIGURE",
        "outliers": "incbayes.figures.outliers:FIGURE",
        "shifts": "incbayes.figures.shifts:FIGURE",
        "uncertainty_by_stage": "incbayes.figures.uncertainty_by_stage:FIGURE",
        "forgetting": "incbayes.figures.forgetting:FIGURE",
        "kl_and_scale": "incbayes.figures.kl_and_scale:FIGURE",
        "training": "incbayes.figures.training:FIGURE",
    },
)
"""In the order in which the report shows them."""

OF_AN_EXPERIMENT = {
    "dataset": DATASETS,
    "model": MODELS,
    "pixels": PIXELS,
    "likelihood": LIKELIHOODS,
}
OF_SCORES = {"outliers": OUTLIERS, "shifts": SHIFTS}
OF_A_METHOD = {"family": FAMILIES, "prior": PRIORS, "inference": ALGORITHMS}
"""Registries by the key of an experiment, of its scores, or of a method, that names their entries.

A key of its scores is a mapping, whose values name them."""
