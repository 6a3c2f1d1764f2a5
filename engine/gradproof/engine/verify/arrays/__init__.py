"""Whole arrays in ball arithmetic: rigorous readings at the speed of NumPy."""
