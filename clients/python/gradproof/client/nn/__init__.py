"""Functions of networks, where PyTorch has them."""

from gradproof.client.nn import functional

__all__ = ["functional"]
