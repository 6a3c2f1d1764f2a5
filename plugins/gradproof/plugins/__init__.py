"""The built-in plugins. They are registered exactly as a stranger's would be, in this order."""

from gradproof.plugins import (
    activations,
    arithmetic,
    comparisons,
    complexes,
    decompositions,
    exponentials,
    gradient_hooks,
    indexing,
    joining,
    linear,
    reductions,
    shapes,
    trigonometry,
)

BUILTIN = (
    arithmetic,
    comparisons,
    exponentials,
    trigonometry,
    activations,
    reductions,
    linear,
    decompositions,
    shapes,
    joining,
    indexing,
    complexes,
    gradient_hooks,
)
