"""Vectorization of functions: a recorded graph of a slice becomes a graph of all slices."""
