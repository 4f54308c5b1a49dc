"""Network architectures: plain `nn.Module`s without any Bayes in them."""
