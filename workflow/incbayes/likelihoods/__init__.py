"""Likelihoods: what the outputs of a network say of the labels, one file each."""
