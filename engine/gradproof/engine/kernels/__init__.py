"""Kernels: faster forwards that plugins register for ops and dtypes, measured before they are used."""

from gradproof.engine.kernels.kernel import NO_KERNELS, InUse, Kernel, Kernels

__all__ = ["NO_KERNELS", "InUse", "Kernel", "Kernels"]
