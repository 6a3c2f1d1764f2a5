"""The built-in plugins, registered in this order, and in the same way as third-party plugins."""

from gradproof.plugins import (
    activations,
    arithmetic,
<<<<<<< HEAD
    bessel,
=======
    checks,
    class_losses,
>>>>>>> house
    comparisons,
    complexes,
    decompositions,
    exponentials,
    gammas,
    gathering,
    gelu,
    gradient_hooks,
    indexing,
    joining,
    linear,
<<<<<<< HEAD
    normal,
=======
    losses,
>>>>>>> house
    ordering,
    ranges,
    rectifiers,
    reductions,
    rounding,
    scans,
    shapes,
    softmax,
    special,
    trigonometry,
)

BUILTIN = (
    ranges,
    arithmetic,
    comparisons,
    exponentials,
    trigonometry,
    activations,
<<<<<<< HEAD
    gammas,
    normal,
    special,
    bessel,
=======
    gelu,
    rectifiers,
>>>>>>> house
    rounding,
    reductions,
    softmax,
    scans,
    linear,
    decompositions,
    shapes,
    joining,
    indexing,
    gathering,
    ordering,
    complexes,
    checks,
    losses,
    class_losses,
    gradient_hooks,
)
