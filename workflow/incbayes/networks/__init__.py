"""What the layers of a network compute, and the noise that they are sampled with."""
