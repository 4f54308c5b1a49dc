"""A posterior over the weights of a network: built, written, read, and used to predict."""
