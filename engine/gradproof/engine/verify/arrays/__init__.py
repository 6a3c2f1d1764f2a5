"""Whole arrays in ball arithmetic: rigorous readings at the speed of NumPy."""

from gradproof.engine.verify.arrays.ball import GROW, TINY, UNIT, BallArray, exact
from gradproof.engine.verify.arrays.conditions import Mask
from gradproof.engine.verify.arrays.dual import Dual, broadcast, head, tangents
from gradproof.engine.verify.arrays.flags import finely
from gradproof.engine.verify.arrays.floats import FloatDual, Floats
from gradproof.engine.verify.arrays.inner_products import (
    PRODUCT_ROUNDINGS,
    InnerProduct,
    SumDefect,
    all_finite,
    blocks,
    exact_sum,
    flat_parts,
    inner_product,
    magnitude,
    perturbed,
    sum_defect,
)
from gradproof.engine.verify.arrays.programs import (
    NoArrays,
    charged,
    entered,
    evaluated,
    output_balls,
    read_op,
    read_program,
)
from gradproof.engine.verify.arrays.reading import Arrays
from gradproof.engine.verify.arrays.sums import two_sum

__all__ = [
    "GROW",
    "PRODUCT_ROUNDINGS",
    "TINY",
    "UNIT",
    "Arrays",
    "BallArray",
    "Dual",
    "FloatDual",
    "Floats",
    "InnerProduct",
    "Mask",
    "NoArrays",
    "SumDefect",
    "all_finite",
    "blocks",
    "broadcast",
    "charged",
    "entered",
    "evaluated",
    "exact",
    "exact_sum",
    "finely",
    "flat_parts",
    "head",
    "inner_product",
    "magnitude",
    "output_balls",
    "perturbed",
    "read_op",
    "read_program",
    "sum_defect",
    "tangents",
    "two_sum",
]
