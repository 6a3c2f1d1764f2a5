"""Ops of shapes, axes, indices and updates by their names."""

from client_names.row import Row

AXES = "int | Sequence[int]"

# fmt: off
# ruff: noqa: E501
SHAPES = (
    Row("moveaxis movedim", "moveaxis", "The axes ``source`` moved to the positions ``destination``; the others keep their order.", "moveaxis", f"source: {AXES}, destination: {AXES}"),
    Row("swapaxes swapdims", "swapaxes", "Two axes exchanged.", "-", "axis0: int, axis1: int", "apply({op}, {x}, axis1=axis_of({x}, axis0), axis2=axis_of({x}, axis1))"),
    Row("ravel",     "ravel",     "The elements in C order, as a vector."),
    Row("adjoint",   "adjoint",   "The last two axes exchanged, and the elements conjugated."),
    Row("fliplr",    "fliplr",    "The order of the second axis reversed."),
    Row("flipud",    "flipud",    "The order of the first axis reversed."),
    Row("rot90",     "rot90",     "The plane of two axes turned by ``k`` right angles, from the first to the second.", "-", "k: int = 1, dims: Sequence[int] = (0, 1)", "apply({op}, {x}, k=k, axes=tuple(dims))"),
    Row("roll",      "roll",      "Elements moved along axes (through the whole tensor without ``dims``), those beyond the end to the front.", "=", f"shifts: {AXES}, dims: {AXES} | None = None", "apply({op}, {x}, shift=shifts, axis=None if dims is None else axes_of({x}, dims))"),
    Row("unflatten", "unflatten", "An axis taken apart into axes of the ``sizes``, of which one may be -1.", "-", "dim: int, sizes: Sequence[int]", "apply({op}, {x}, axis=axis_of({x}, dim), shape=tuple(sizes))"),
    Row("diag",      "diag",      "The matrix with a vector on its diagonal, or that diagonal of a matrix.", "-", "diagonal: int = 0"),
    Row("diagflat",  "diagflat",  "The matrix with all elements on a diagonal.", "-", "offset: int = 0", "apply({op}, {x}, k=offset)"),
    Row("diagonal",  "diagonal",  "A diagonal of the planes of two axes, as the last axis.", "linalg.diagonal", "offset: int = 0, dim1: int = 0, dim2: int = 1"),
    Row("linalg.diagonal", "diagonal", "A diagonal of matrices.", "linalg.diagonal", "*, offset: int = 0, dim1: int = -2, dim2: int = -1", first="A"),
    Row("diag_embed", "diag_embed", "Zeros, with the last axis on a diagonal of two new axes.", "-", "offset: int = 0, dim1: int = -2, dim2: int = -1"),
    Row("Tensor.unfold", "unfold", "Windows of a size along an axis, a step apart, with their elements along a new last axis.", "-", "dimension: int, size: int, step: int", "apply({op}, {x}, axis=axis_of({x}, dimension), size=size, step=step)", follows="Tensor.unfold"),
    Row("torch.pixel_shuffle nn.functional.pixel_shuffle", "pixel_shuffle", "The channels of (..., c r², h, w) as pixels (..., c, h r, w r), for r the ``upscale_factor``.", "-", "upscale_factor: int"),
    Row("torch.pixel_unshuffle nn.functional.pixel_unshuffle", "pixel_unshuffle", "The pixels of (..., c, h r, w r) as channels (..., c r², h, w), for r the ``downscale_factor``.", "-", "downscale_factor: int"),
    Row("torch.channel_shuffle nn.functional.channel_shuffle", "channel_shuffle", "The channels of (n, groups · c, ...) with the groups interleaved.", "-", "groups: int"),
)

PARTS = (
    Row("tensor_split", "array_split", "Sections along an axis whose sizes differ by 1 at most, or those between indices.", "-", f"indices_or_sections: {AXES}, dim: int = 0"),
    Row("vsplit",       "vsplit",      "Sections along the first axis, of a common size or between indices.", "-", f"indices_or_sections: {AXES}"),
    Row("hsplit",       "hsplit",      "Sections along the second axis, that of a vector along its only one, of a common size or between indices.", "-", f"indices_or_sections: {AXES}"),
    Row("dsplit",       "dsplit",      "Sections along the third axis, of a common size or between indices.", "-", f"indices_or_sections: {AXES}"),
)

UPDATES = (
    Row("index_add",      "index_add",      "The tensor with ``alpha * source`` added to its parts at ``index`` along an axis; parts that are named twice get both.", "-", "dim: int, index: Places, source: Operand, *, alpha: Scalar = 1", "apply({op}, {x}, index, scaled(alpha, source), axis=axis_of({x}, dim))"),
    Row("index_copy",     "index_copy",     "The tensor with ``source`` in place of its parts at ``index`` along an axis, the last of those that are named twice.", "-", "dim: int, index: Places, source: Operand"),
    Row("index_fill",     "index_fill",     "The tensor with ``value`` in place of its parts at ``index`` along an axis.", "-", "dim: int, index: Places, value: Operand"),
    Row("scatter_add",    "scatter_add",    "The tensor with ``src`` added at ``index`` along an axis, on each line its own; elements that are named twice get both.", "-", "dim: int, index: Places, src: Operand"),
    Row("scatter",        "scatter",        "The tensor with ``src`` at ``index`` along an axis, on each line its own, the last for elements that are named twice.", "-", "dim: int, index: Places, src: Operand"),
    Row("put",            "put",            "The tensor with ``source`` in place of elements, or added to them, at ``index``, counted through the whole tensor.", "-", "index: Places, source: Operand, accumulate: bool = False", follows="Tensor.put"),
    Row("masked_fill",    "masked_fill",    "``value`` where ``mask`` is true, the elements elsewhere.", "-", "mask: Operand, value: Operand"),
    Row("masked_scatter", "masked_scatter", "The elements of ``source``, in their order, where ``mask`` is true, those of the tensor elsewhere.", "-", "mask: Operand, source: Operand"),
    Row("select_scatter", "select_scatter", "The tensor with ``src`` in place of its part at ``index`` along an axis.", "-", "src: Operand, dim: int, index: int"),
    Row("diagonal_scatter", "diagonal_scatter", "The tensor with ``src`` on a diagonal of the planes of two axes.", "-", "src: Operand, offset: int = 0, dim1: int = 0, dim2: int = 1"),
)
# fmt: on
