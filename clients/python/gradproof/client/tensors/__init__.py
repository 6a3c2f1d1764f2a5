"""Tensors: what they are, how they are made and written with."""
