"""Derivatives of recorded tensors: products with vectors, all rows or columns of Jacobians at once, and their graphs."""
