"""Formulas of values and their derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradproof.v1 import autodiff_service_pb2 as pb


@dataclass(frozen=True)
class Formula:
    """The value ``of``, or its derivative by ``by``, as SymPy text and as LaTeX. ``kind``: value, local (of the node that
    made it), gradient (by a leaf), part (a common subexpression of the gradient)."""

    kind: str
    of: str
    by: str
    text: str
    latex: str

    def __str__(self) -> str:
        return f"d {self.of} / d {self.by} = {self.text}" if self.by else f"{self.of} = {self.text}"


@dataclass(frozen=True)
class Explanation:
    """All formulas of one value. Prints as lines; a notebook shows them typeset."""

    formulas: tuple[Formula, ...]
    subexpressions: tuple[Formula, ...]

    def of_kind(self, kind: str) -> list[Formula]:
        """Those of one kind."""
        return [one for one in self.formulas if one.kind == kind]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        titles = {"value": "value", "local": "derivative of its node", "gradient": "gradient"}
        for kind, title in titles.items():
            found = self.of_kind(kind)
            if found:
                yield f"{title}:"
                yield from (f"  {one}" for one in found)
            if kind == "gradient" and self.subexpressions:
                yield "where:"
                yield from (f"  {one}" for one in self.subexpressions)

    def _repr_latex_(self) -> str:
        rows = []
        for one in (*self.formulas, *self.subexpressions):
            of, by = (name.replace("_", r"\_") for name in (one.of, one.by))
            left = rf"\frac{{\partial \mathtt{{{of}}}}}{{\partial \mathtt{{{by}}}}}" if by else rf"\mathtt{{{of}}}"
            rows.append(f"{left} &= {one.latex}")
        body = r" \\ ".join(rows)
        return rf"$$\begin{{aligned}} {body} \end{{aligned}}$$"


def explanation(response: pb.ExplainResponse) -> Explanation:
    """The formulas of a response."""

    def decoded(one: pb.Formula) -> Formula:
        return Formula(one.kind, one.of, one.by, one.text, one.latex)

    return Explanation(tuple(map(decoded, response.formulas)), tuple(map(decoded, response.subexpressions)))
