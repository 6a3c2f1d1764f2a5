"""Tensors: their methods, constructors and texts."""
