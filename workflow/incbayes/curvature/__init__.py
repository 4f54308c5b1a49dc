"""Curvature of the loss at the weights of a trained network."""
