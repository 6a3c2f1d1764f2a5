"""Names and texts of the built-in ops: those of PyTorch's backward nodes, and definitions as they are read."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gradproof.engine.extend import Op
from gradproof.plugins.formulas import FORMULAS

TORCH_NAMES = {
    "subtract": "SubBackward0",
    "multiply": "MulBackward0",
    "divide": "DivBackward0",
    "negative": "NegBackward0",
    "square": "PowBackward0",
    "pow": "PowBackward1",
    "clip": "ClampBackward1",
    "max": "AmaxBackward0",
    "min": "AminBackward0",
    "gammaln": "LgammaBackward0",
    "multigammaln": "MvlgammaBackward0",
    "gammainc": "IgammaBackward0",
    "gammaincc": "IgammacBackward0",
    "zeta": "SpecialZetaBackward0",
    "xlog1py": "SpecialXlog1PyBackward0",
    "entr": "SpecialEntrBackward0",
    "ndtri": "SpecialNdtriBackward0",
    "log_ndtr": "SpecialLogNdtrBackward0",
    "i0e": "SpecialI0EBackward0",
    "i1": "SpecialI1Backward0",
    "i1e": "SpecialI1EBackward0",
    "k0": "SpecialModifiedBesselK0Backward0",
    "k1": "SpecialModifiedBesselK1Backward0",
    "k0e": "SpecialScaledModifiedBesselK0Backward0",
    "k1e": "SpecialScaledModifiedBesselK1Backward0",
    "matmul": "MmBackward0",
    "solve": "LinalgSolveExBackward0",
    "inv": "LinalgInvExBackward0",
    "det": "LinalgDetBackward0",
    "cholesky": "LinalgCholeskyExBackward0",
    "logsigmoid": "LogSigmoidBackward0",
    "relu6": "HardtanhBackward0",
    "rrelu": "RreluWithNoiseBackward0",
    "prelu": "PreluKernelBackward0",
    "softmin": "SoftmaxBackward0",
    "reshape": "ViewBackward0",
    "broadcast_to": "ExpandBackward0",
    "expand_dims": "UnsqueezeBackward0",
    "transpose": "PermuteBackward0",
    "matrix_transpose": "TransposeBackward0",
    "astype": "ToCopyBackward0",
    "concat": "CatBackward0",
    "pad": "ConstantPadNdBackward0",
    "take": "IndexSelectBackward0",
    "take_along_axis": "GatherBackward0",
    "put_along_axis": "ScatterBackward0",
    "add_along_axis": "ScatterAddBackward0",
    "permute_dims": "PermuteBackward0",
    "moveaxis": "PermuteBackward0",
    "swapaxes": "TransposeBackward0",
    "ravel": "ViewBackward0",
    "flatten": "ViewBackward0",
    "unflatten": "ViewBackward0",
    "fliplr": "FlipBackward0",
    "flipud": "FlipBackward0",
    "tile": "RepeatBackward0",
    "broadcast_arrays": "ExpandBackward0",
    "meshgrid": "ExpandBackward0",
    "array_split": "SplitBackward0",
    "unstack": "UnbindBackward0",
    "vstack": "CatBackward0",
    "hstack": "CatBackward0",
    "dstack": "CatBackward0",
    "column_stack": "CatBackward0",
    "getitem": "IndexBackward0",
}
"""The backward nodes of PyTorch whose names differ from ``<Name>Backward0`` with the name of the op."""


def named(ops: Iterable[Op]) -> Iterator[Op]:
    """``ops`` with the names of PyTorch's nodes, and the formula of the definition as ``doc`` where an op has none."""
    for op in ops:
        yield replace(op, grad_fn=TORCH_NAMES.get(op.name, op.grad_fn), doc=op.doc or FORMULAS.get(op.name, ""))
