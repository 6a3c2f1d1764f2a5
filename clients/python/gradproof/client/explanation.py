"""Formulas of values and their derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradproof.v1 import autodiff_service_pb2 as pb

KINDS = {
    pb.FORMULA_KIND_VALUE: "value",
    pb.FORMULA_KIND_LOCAL: "local",
    pb.FORMULA_KIND_GRADIENT: "gradient",
    pb.FORMULA_KIND_SUBEXPRESSION: "subexpression",
}


@dataclass(frozen=True)
class Formula:
    """The value ``of``, or its derivative by ``by``, as SymPy text and as LaTeX. ``kind``: value, local (derivative of the
    node that made the value), gradient (by a leaf), subexpression (a common one of the gradient), or empty for a kind
    that this client does not know."""

    kind: str
    of: str
    by: str
    text: str
    latex: str

    def __str__(self) -> str:
        return f"d {self.of} / d {self.by} = {self.text}" if self.by else f"{self.of} = {self.text}"


@dataclass(frozen=True)
class Explanation:
    """Formulas of a value. Prints as lines; a notebook shows them typeset."""

    formulas: tuple[Formula, ...]
    subexpressions: tuple[Formula, ...]

    def of_kind(self, kind: str) -> list[Formula]:
        """The formulas of a kind."""
        return [formula for formula in self.formulas if formula.kind == kind]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        titles = {"value": "value", "local": "derivative of its node", "gradient": "gradient"}
        for kind, title in titles.items():
            formulas = self.of_kind(kind)
            if formulas:
                yield f"{title}:"
                yield from (f"  {formula}" for formula in formulas)
            if kind == "gradient" and self.subexpressions:
                yield "where:"
                yield from (f"  {formula}" for formula in self.subexpressions)

    def _repr_latex_(self) -> str:
        rows = []
        for formula in (*self.formulas, *self.subexpressions):
            of, by = (name.replace("_", r"\_") for name in (formula.of, formula.by))
            left = rf"\frac{{\partial \mathtt{{{of}}}}}{{\partial \mathtt{{{by}}}}}" if by else rf"\mathtt{{{of}}}"
            rows.append(f"{left} &= {formula.latex}")
        body = r" \\ ".join(rows)
        return rf"$$\begin{{aligned}} {body} \end{{aligned}}$$"


def explanation(response: pb.ExplainResponse) -> Explanation:
    """The formulas of a response."""

    def decoded(message: pb.Formula) -> Formula:
        return Formula(KINDS.get(message.kind, ""), message.of, message.by, message.text, message.latex)

    return Explanation(tuple(map(decoded, response.formulas)), tuple(map(decoded, response.subexpressions)))
