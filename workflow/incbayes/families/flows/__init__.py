"""Normalizing flows over weights, or over what multiplies them."""
