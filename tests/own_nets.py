"""Networks of one's own with normalisation, dropout and skipped layers, for studies to name."""

from torch import nn


class Residual(nn.Module):
    """A convolution, a block around which the input is carried, and a dense layer."""

    def __init__(self, shape, outputs, width=4, dropout=0.2):
        super().__init__()
        self.first = nn.Conv2d(shape[0], width, 3, padding=1)
        self.block = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(width, width, 3, padding="same", bias=False),
            nn.GroupNorm(2, width),
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = self.first(x)
        x = x + self.block(x)
        return self.head(self.norm(x.mean((2, 3))))


class Volume(nn.Module):
    """A convolution over three axes."""

    def __init__(self, shape, outputs):
        super().__init__()
        self.first = nn.Conv3d(shape[0], 2, (1, 2, 2))
        self.head = nn.Linear(2 * (shape[1] - 1) * (shape[2] - 1), outputs)

    def forward(self, x):
        return self.head(self.first(x.unsqueeze(2)).flatten(1))
