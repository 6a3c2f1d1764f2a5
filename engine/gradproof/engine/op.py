"""Op: a differentiable operation, declared once and read several ways.

    Op("exp", np.exp, rule=lambda g, y, x: g * y, define=lambda f, x: f.exp(x))

``forward`` computes NumPy arrays; ``rule`` is the vector-Jacobian product, traced and never run on values; ``define`` says
what an element of the result *is*, over the function table; ``infer`` gives shape and dtype (automatic for
elementwise ops). The rest are facts for the checks: domains, cases, stress inputs, tie convention.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np

from gradproof.engine.attributes import Attributes
from gradproof.engine.cases import Case
from gradproof.engine.conventions import REFUSED, Complex, Kink
from gradproof.engine.domains import INTEGER, POSITIVE, REAL, Domain
from gradproof.engine.expressions import source_of, written
from gradproof.engine.implicit import Equation, Parametrisation
from gradproof.engine.inference import InferenceError, Inferred, elementwise_inference
from gradproof.engine.neighbours import neighbours
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.spec import Spec

if TYPE_CHECKING:
    from gradproof.engine.trace import Program


class _NoGradient:
    def __repr__(self) -> str:
        return "NO_GRADIENT"


NO_GRADIENT: Final = _NoGradient()
"""Returned by a rule for an input that no gradient flows to (an index, a mask), which is not the same as zeros."""

NO_ATTRIBUTES: Final[Mapping[Any, float]] = MappingProxyType({})

REQUIRED: Final = inspect.Parameter.empty
"""The default of an attribute that has none."""


@dataclass(frozen=True, eq=False)
class Op:
    """A differentiable operation.

    Args:
        name: the op's name; ``namespace.name`` for ops of third parties.
        forward: ``(*arrays, **attributes) -> array`` (a tuple of arrays for several outputs). Must not write to its
            inputs. Parameters with the default None, at the end, are inputs that may be left out.
        rule: ``(g, y, *inputs, **attributes) -> cotangents``, each of the shape and dtype of its input; a single cotangent
            need not be in a tuple. Called with tracers only, so only operators and ``ops`` may be used. None: the op has
            no derivative.
        backward: instead of ``rule``, a backward in plain NumPy, ``(g, y, *inputs, **attributes) -> cotangents``: one for
            each input, None for an integer or boolean input. It cannot be traced, so it is not proved, only checked at the
            values of a run.
        outputs: how many results an op with ``backward`` has.
        define: the definition of an element of the result. Elementwise: ``(f, *scalars, **attributes) -> scalar``.
            Otherwise ``(f, i, *arrays, **attributes) -> scalar`` for the element at index tuple ``i``, over arrays of
            scalars. A tuple of such functions where the op has several outputs. Or an `Equation` for the only output.
        infer: ``(*specs, **attributes) -> Inferred``; None makes the op elementwise.
        cases: the shape classes for which the rule is proved. Elementwise ops need none.
        domains: one per input (or one for all).
        neutral: ``(*specs) -> numbers``, one per input: what stands for an input that is left out, whose spec is None. With
            it any optional input may be left out, and forward, rule and definition are given all. None: they are given
            those that are there.
        normwise: the error of forward is relative to the largest element of its inputs, not to each: so it is for
            decompositions.
        stress: input values that have caused trouble: huge, tiny, equal, at a kink.
        ties: what the rule gives where it is not proved (kinks, ties, zeros of a branch), in words.
        kink: the convention at kinks as a choice among the one-sided derivatives, one for each input (or one for all); it
            is checked. None: any value between them will do.
        promotes: positions of the inputs that take part in dtype promotion (elementwise ops; None: all).
        grad_fn: the name of the backward node, as PyTorch has it; ``<Name>Backward0`` by default.
        shrink: ``(specs, attributes) -> Case``: a small representative of the shape class of a node, where the generic
            case does not fit.
        chart: a parametrisation of the op, where a direct proof gets lost in roots, or in inverses of inverses.
        still: positions of inputs along which the op has no derivative here, for all that the function may have one: of
            them
            the rule says NO_GRADIENT, and a gradient that is to flow there is refused.
        complex: how the rule treats complex numbers: REFUSED, HOLOMORPHIC or DIRECT.
        into: ``(out, *arrays, **attributes)``: forward, to the same bits, written to ``out``, which has the right shape
            and dtype and overlaps no input. Saves a compiled plan the memory that forward would allocate. A forward that is
            a ufunc needs none.
        place: ``(x, **attributes)`` with the spec of the only input: the index of the elements of the result that hold x,
            while all other elements are zero.
        arrays: the definition once more, for all elements at once: ``(f, *arrays, **attributes) -> array``, written with
            what ``f`` has for whole arrays. It is shown to be equal to the definition where the rule is proved; large
            arrays are checked by it. An elementwise definition needs none, since it takes arrays as it stands.
        view: forward gives a view of its only input wherever NumPy can make one, and never reads values.
        contracts: each element of the result is a sum of products over the last axis of the first input, as in a product of
            matrices.
        doc: a sentence.

    Raises:
        ValueError: if ``view`` or ``place`` is set for an op that has not a single input.
    """

    name: str
    forward: Callable[..., Any]
    rule: Callable[..., Any] | None = None
    define: Callable[..., Any] | tuple[Callable[..., Any], ...] | Equation | None = None
    infer: Callable[..., Inferred] | None = None
    cases: tuple[Case, ...] = ()
    domains: Domain | tuple[Domain, ...] = REAL
    stress: tuple[float, ...] = (0.0, -0.0, 1e-300, 40.0, -40.0, 700.0)
    ties: str = ""
    kink: Kink | tuple[Kink, ...] | None = None
    neutral: Callable[..., tuple[Any, ...]] | None = None
    normwise: bool = False
    promotes: tuple[int, ...] | None = None
    grad_fn: str = ""
    shrink: Callable[..., Case] | None = None
    chart: Parametrisation | None = None
    backward: Callable[..., Any] | None = None
    outputs: int = 1
    still: tuple[int, ...] = ()
    complex: Complex = REFUSED
    into: Callable[..., Any] | None = None
    view: bool = False
    contracts: bool = False
    place: Callable[..., tuple[Any, ...]] | None = None
    arrays: Callable[..., Any] | None = None
    doc: str = ""
    inputs: tuple[str, ...] = field(init=False)
    attributes: Mapping[str, Any] = field(init=False)
    variadic: bool = field(init=False)
    optional: int = field(init=False)
    composite: ClassVar[bool] = False

    def __post_init__(self) -> None:
        signature = _parameters(*self._signature())
        for name, value in signature._asdict().items():
            object.__setattr__(self, name, value)
        positional = self.inputs
        if (self.view or self.place) and len(positional) != 1:
            raise ValueError(f"op {self.name!r}: view and place are for ops of a single input, this has {len(positional)}")
        if not self.grad_fn:
            title = "".join(part.title() for part in self.name.rpartition(".")[2].split("_"))
            object.__setattr__(self, "grad_fn", f"{title}Backward0")

    @classmethod
    def from_sympy(
        cls,
        name: str,
        expression: Any,
        *,
        inputs: Sequence[Any],
        attributes: Mapping[Any, float] = NO_ATTRIBUTES,
        doc: str = "",
        **fields: Any,
    ) -> Op:
        """An elementwise op whose result is a SymPy expression, which gives forward, rule and definition.

        The rule is the expression's derivative. It is written as Python (`source`), to be pasted and improved; the proof
        compares it with the definition as any other.

        Args:
            name: the op's name, ``namespace.name``.
            expression: the result, over functions of the function table, comparisons in ``Piecewise``, ``Max`` and ``Min``.
            inputs: the symbols of the inputs, in their order. Symbols are of real numbers; an input whose symbol is
                declared positive has the domain POSITIVE.
            attributes: the symbols of attributes, with their defaults.
            doc: a sentence.
            fields: other fields of the op: ``stress``, ``ties``, ``kink``...

        Raises:
            ValueError: for a function that is not in the table, or a symbol that is neither input nor attribute.
        """
        parts = written(name, expression, inputs, attributes, doc)
        domains = tuple(POSITIVE if positive else REAL for positive in parts.positive)
        return cls(name, parts.forward, parts.rule, parts.define, **{"domains": domains, "doc": doc, **fields})

    @property
    def source(self) -> str:
        """The Python of forward, rule and definition, of those that were written in Python; of an op from an expression all
        that was written for it, to be pasted and improved."""
        whole = source_of(self.forward)
        if whole is not None:
            return whole
        functions = [x for x in (self.forward, self.rule, self.backward, *self.definitions) if inspect.isfunction(x)]
        return "\n".join(dict.fromkeys(inspect.getsource(function) for function in functions))

    def _signature(self) -> tuple[Callable[..., Any], int]:
        """The function whose parameters name inputs and attributes, and the number of its parameters before them."""
        if self.infer:
            return self.infer, 0
        if self.equation:
            return self.equation.residual, 2
        return (self.definitions[0], 1) if self.definitions else (self.forward, 0)

    @property
    def elementwise(self) -> bool:
        """True if element i of the result depends on element i of the (broadcast) inputs only."""
        return self.infer is None

    @property
    def differentiable(self) -> bool:
        """True if the op has a rule."""
        return self.rule is not None

    @property
    def definitions(self) -> tuple[Callable[..., Any], ...]:
        """A definition per output; empty when the op has none, or an equation."""
        if self.define is None or isinstance(self.define, Equation):
            return ()
        return self.define if isinstance(self.define, tuple) else (self.define,)

    @property
    def equation(self) -> Equation | None:
        """The equation that defines the output, where no formula does."""
        return self.define if isinstance(self.define, Equation) else None

    def domain(self, position: int) -> Domain:
        """The domain of the input at ``position``."""
        if isinstance(self.domains, Domain):
            return self.domains
        return self.domains[min(position, len(self.domains) - 1)]

    def kink_of(self, position: int) -> Kink | None:
        """The convention at kinks for the input at ``position``."""
        return self.kink[min(position, len(self.kink) - 1)] if isinstance(self.kink, tuple) else self.kink

    def input_name(self, position: int) -> str:
        """The name of the input at ``position`` in messages: ``x``, or ``arrays[2]`` of an op that takes any number."""
        first = len(self.inputs) - self.variadic
        return self.inputs[position] if position < first else f"{self.inputs[-1]}[{position - first}]"

    def proof_cases(self) -> tuple[Case, ...]:
        """The declared cases, and two more where a numeric attribute has the same value in all of them: with values near
        that, since a rule that is proved at a default only may ignore the attribute."""
        declared = self.declared_cases()
        return (*declared[:1], *self._neighbours(declared), *declared[1:])

    def declared_cases(self) -> tuple[Case, ...]:
        """The proof cases without the neighbours of attributes: those for which the rule must trace. For an elementwise op
        that declares none, a case of rank 0 and a case of rank 2."""
        return self.cases if self.cases or not self.elementwise else (self.uniform(()), self.uniform((1, 2)))

    def _neighbours(self, declared: tuple[Case, ...]) -> Iterator[Case]:
        attributes = [{**self.attributes, **case.attributes} for case in declared]
        for changed in neighbours(attributes, whole_numbers=self.elementwise and not self.cases):
            case = replace(declared[0], attributes={**declared[0].attributes, **changed})
            if self.takes(case):
                yield case

    def complex_cases(self) -> tuple[Case, ...]:
        """The proof cases in complex128, of those that the op takes."""
        if self.complex is REFUSED:
            return ()
        cases = [case.over(np.complex128) for case in self.proof_cases()]
        return tuple(case for case in cases if self.takes(case))

    def takes(self, case: Case) -> bool:
        """True if inputs and attributes of a case fit this op."""
        try:
            self.inference(case.specs(), case.attributes)
        except InferenceError:
            return False
        return True

    def uniform(self, shape: tuple[int, ...]) -> Case:
        """A case with every input of ``shape``; an integer or boolean input alternates between 1 and 0."""
        count = int(np.prod(shape, dtype=int))
        mask = (np.arange(count) % 2 == 0).reshape(shape)
        return Case(tuple(mask if self.domain(k) is INTEGER else shape for k in range(len(self.inputs))))

    def arity_fault(self, count: int) -> str | None:
        """The fault of a call with ``count`` inputs, or None. The text completes "op ...": "takes 2 inputs (x, y), got
        1"."""
        if self.variadic:
            least = max(1, len(self.inputs) - 1)
            return None if count >= least else f"takes {least} or more inputs, got {count}"
        most = len(self.inputs)
        if most - self.optional <= count <= most:
            return None
        numbers = f"{most - self.optional} to {most}" if self.optional else str(most)
        return f"takes {numbers} input{'s' * (most != 1)} ({', '.join(self.inputs)}), got {count}"

    def may_miss(self, position: int) -> bool:
        """True if a neutral number can stand for the input at ``position``."""
        return self.neutral is not None and len(self.inputs) - self.optional <= position < len(self.inputs)

    def expand(self, specs: Sequence[Spec], attributes: Attributes) -> Program | None:
        """The program of other ops that this op stands for, if it is a composite. Raises InferenceError."""
        return None

    def complete(self, attributes: Attributes) -> dict[str, Any]:
        """``attributes`` with defaults filled in. Raises InferenceError for unknown or missing names."""
        unknown = sorted(set(attributes) - set(self.attributes))
        if unknown:
            known = ", ".join(self.attributes) or "none"
            raise InferenceError(f"has no attribute {', '.join(map(repr, unknown))}; it has {known}")
        whole = {**self.attributes, **attributes}
        missing = [name for name, value in whole.items() if value is REQUIRED]
        if missing:
            raise InferenceError(f"needs the attribute {', '.join(map(repr, missing))}")
        return whole

    def inference(self, specs: Sequence[Spec], attributes: Attributes) -> Inferred:
        """Specs of outputs and canonical attributes. Raises InferenceError if inputs or attributes do not fit."""
        whole = self.complete(attributes)
        if self.infer is not None:
            try:
                return self.infer(*specs, **whole)
            except InferenceError:
                raise
            except BaseException as error:  # a plugin's code may raise anything
                reraise_own(error)
                text = f"does not take these inputs and attributes: its infer raised {type(error).__name__}"
                raise InferenceError(text) from error
        return elementwise_inference(self.forward, specs, whole, self.promotes)


class _Signature(NamedTuple):
    """Names of the inputs, defaults of the attributes, whether the last input stands for any number of them, and how many
    of the last inputs may be left out."""

    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    variadic: bool
    optional: int


def _parameters(function: Callable[..., Any], skip: int) -> _Signature:
    """The signature of a function without its first ``skip`` parameters."""
    if isinstance(function, np.ufunc):  # it may have the signature of all ufuncs: out, where, casting...
        return _Signature(tuple(f"x{k}" for k in range(function.nin)), {}, False, 0)
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except ValueError:  # a ufunc without a signature
        return _Signature(tuple(f"x{k}" for k in range(getattr(function, "nin", 1))), {}, False, 0)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    variadic = [p for p in parameters if p.kind is p.VAR_POSITIONAL]
    optional = sum(p.default is not p.empty for p in positional)
    return _Signature(tuple(p.name for p in (*positional, *variadic)), named, bool(variadic), optional)
