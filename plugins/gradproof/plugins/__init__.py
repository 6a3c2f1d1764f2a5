"""The built-in plugins. They are registered exactly as a stranger's would be, in this order."""

from gradproof.plugins import (
    activations,
    arithmetic,
    comparisons,
    complexes,
    decompositions,
    exponentials,
    gathering,
    gradient_hooks,
    indexing,
    joining,
    linear,
    ordering,
    reductions,
    rounding,
    shapes,
    trigonometry,
)

BUILTIN = (
    arithmetic,
    comparisons,
    exponentials,
    trigonometry,
    activations,
    rounding,
    reductions,
    linear,
    decompositions,
    shapes,
    joining,
    indexing,
    gathering,
    ordering,
    complexes,
    gradient_hooks,
)
