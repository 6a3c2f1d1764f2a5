"""What an op is: one declaration, read several ways.

    Op("exp", np.exp, rule=lambda g, y, x: g * y, define=lambda f, x: f.exp(x))

``forward`` computes NumPy arrays; ``rule`` is the vector-Jacobian product, traced and never run on values; ``define`` says
what one element of the result *is*, over the function table; ``infer`` gives shape and dtype (automatic for elementwise
ops). The rest are facts for the checks: domains, cases, stress inputs, tie convention.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from random import Random
from typing import Any, Final, TypeAlias

import numpy as np
import sympy

from gradproof.engine.implicit import Equation, Parametrisation
from gradproof.engine.neighbours import neighbours
from gradproof.engine.plugin_errors import foreign
from gradproof.engine.spec import BFLOAT16, Array, DType, Spec

Attributes: TypeAlias = Mapping[str, Any]
FLOAT64: Final[DType] = np.dtype(np.float64)


class _NoGradient:
    def __repr__(self) -> str:
        return "NO_GRADIENT"


NO_GRADIENT: Final = _NoGradient()
"""What a rule returns for an input that no gradient flows to (an index, a mask). Not zeros, and not silence."""

REQUIRED: Final = inspect.Parameter.empty
"""The default of an attribute that has none."""


@dataclass(frozen=True)
class Domain:
    """Where an input lives. ``chart`` maps a symbol with ``assumptions`` onto the domain (acosh is proved with
    x = 1 + t, t > 0); ``sample`` draws an exact interior point."""

    name: str
    assumptions: Mapping[str, bool]
    chart: Callable[[Any], Any]
    sample: Callable[[Random], Fraction]


def _signed(random: Random) -> Fraction:
    return Fraction(random.randint(1, 63) * random.choice((-1, 1)), 16)


def _unit(random: Random) -> Fraction:
    return Fraction(random.randint(1, 63), 64)


REAL = Domain("real", {"real": True}, lambda t: t, _signed)
NONZERO = Domain("nonzero", {"real": True, "nonzero": True}, lambda t: t, _signed)
POSITIVE = Domain("positive", {"positive": True}, lambda t: t, lambda random: abs(_signed(random)))
ABOVE_MINUS_ONE = Domain("above -1", {"positive": True}, lambda t: t - 1, lambda random: abs(_signed(random)) - 1)
ABOVE_ONE = Domain("above 1", {"positive": True}, lambda t: t + 1, lambda random: 1 + abs(_signed(random)))
UNIT = Domain("between -1 and 1", {"real": True}, lambda t: t, lambda random: 2 * _unit(random) - 1)
INTEGER = Domain("integer or boolean", {}, lambda t: t, lambda random: Fraction(0))


class Complex(StrEnum):
    """What complex numbers are to the rule of an op. A gradient in z = a + ib is dL/da + i dL/db."""

    REFUSED = "no gradient flows through complex numbers"
    HOLOMORPHIC = "complex differentiable, and the rule, written for reals, is conjugated: g conj(f'(z))"
    DIRECT = "the rule is written for complex numbers"


REFUSED: Final = Complex.REFUSED
HOLOMORPHIC: Final = Complex.HOLOMORPHIC
DIRECT: Final = Complex.DIRECT


class Kink(StrEnum):
    """What a rule gives at a kink, out of the derivatives on its sides."""

    MEAN = "the mean of the one-sided derivatives"
    SMALLEST = "the one-sided derivative of smallest magnitude"
    LARGEST = "the one-sided derivative of largest magnitude"


@dataclass(frozen=True)
class Case:
    """One shape class of an op: for each input a shape, or, for integer and boolean inputs, the concrete array; and the
    dtype of the former. ``drawn``: the names of attributes that were drawn, so that the op may have no meaning there: such
    a case refutes a rule, and owes no proof. ``beside``: the same at other sizes, to be proved too, where the rule holds
    numbers that follow from sizes. ``free``: the names of attributes that stand for all numbers but the exceptional ones
    (see `sealed`); at the values that are given the op is observed."""

    inputs: tuple[tuple[int, ...] | Array, ...]
    attributes: Attributes = field(default_factory=dict)
    dtype: DType = FLOAT64
    drawn: tuple[str, ...] = ()
    beside: Case | None = None
    free: tuple[str, ...] = ()

    def specs(self, dtype: Any = None) -> tuple[Spec, ...]:
        """The specs of the inputs, float ones of ``dtype``, or of the case's own."""
        own = self.dtype if dtype is None else np.dtype(dtype)
        return tuple(Spec(x.shape, x.dtype) if isinstance(x, np.ndarray) else Spec(x, own) for x in self.inputs)

    def over(self, dtype: Any) -> Case:
        """The same case with inputs of ``dtype``."""
        return replace(self, dtype=np.dtype(dtype), beside=self.beside and self.beside.over(dtype))

    @cached_property
    def text(self) -> str:
        """The case in full: two cases are the same if their texts are."""
        inputs = [f"{x.dtype}{x.shape}{x.tolist()}" if isinstance(x, np.ndarray) else repr(x) for x in self.inputs]
        return " ".join(
            [*inputs, *(f"{name}={value!r}" for name, value in sorted(self.attributes.items())), *self._other()]
            + [f"drawn {name}" for name in self.drawn]
            + [f"free {name}" for name in self.free]
            + [f"beside {one.text}" for one in (self.beside,) if one]
        )

    def __str__(self) -> str:
        shown = [str(x.tolist()) if isinstance(x, np.ndarray) else f"({', '.join(map(str, x))})" for x in self.inputs]
        values = {name: "any real" if name in self.free else value for name, value in self.attributes.items()}
        return " ".join([*shown, *(f"{name}={value}" for name, value in values.items()), *self._other()])

    def at_values(self) -> Case:
        """The same case with no attribute free: at the values that are given."""
        return replace(self, free=(), beside=self.beside and self.beside.at_values())

    @property
    def is_owed(self) -> bool:
        """Whether its proof is owed: not of drawn values, which may have no meaning, nor of all values, since each that
        is met has a proof of its own where that of all does not close."""
        return not (self.drawn or self.free)

    def _other(self) -> list[str]:
        return [self.dtype.name] if self.dtype != FLOAT64 else []


def case(*inputs: tuple[int, ...] | Array, **attributes: Any) -> Case:
    return Case(inputs, attributes)


@dataclass(frozen=True)
class Inferred:
    """What ``infer`` found: specs of the outputs, canonical attributes, and, where the op wants its inputs in another
    shape or dtype (broadcast, promoted), the specs they are converted to by explicit nodes."""

    outputs: tuple[Spec, ...]
    attributes: Attributes = field(default_factory=dict)
    inputs: tuple[Spec, ...] | None = None


class InferenceError(ValueError):
    """Raised by ``infer``: the inputs or attributes do not fit this op. The message completes "op: ..."."""


def promoted(specs: Sequence[Spec]) -> DType:
    """The dtype that NumPy 2 gives to these together; weak scalars count as Python numbers."""
    strong = [spec.dtype for spec in specs if not spec.weak]
    if not strong:
        return np.result_type(*(spec.dtype for spec in specs))
    common = np.result_type(*strong)
    kinds = {spec.dtype.kind for spec in specs if spec.weak}
    if common == BFLOAT16 and "c" not in kinds:
        return common  # NumPy does not know that a Python float is weak beside an extension dtype
    weak = [complex(1) if kind == "c" else 1.0 if kind == "f" else 1 for kind in kinds]
    return np.result_type(common, *weak)


@dataclass(frozen=True, eq=False)
class Op:
    """A differentiable operation.

    Args:
        name: the op's name; ``namespace.name`` for ops of third parties.
        forward: ``(*arrays, **attributes) -> array`` (a tuple of arrays for several outputs). Must not write to its
            inputs.
        rule: ``(g, y, *inputs, **attributes) -> cotangents``, one per input and of its shape and dtype; a single one
            need not be in a tuple. Called with tracers only, so only operators and ``ops`` may be used. None: the op has
            no derivative.
        backward: instead of ``rule``, a backward in plain NumPy, ``(g, y, *inputs, **attributes) -> cotangents``: one for
            each input, None for an integer or boolean one. It cannot be traced, so it is not proved, only looked at.
        outputs: how many results an op with ``backward`` has.
        define: what an element of the result is. Elementwise: ``(f, *scalars, **attributes) -> scalar``. Otherwise
            ``(f, i, *arrays, **attributes) -> scalar`` for the element at index tuple ``i``, over arrays of scalars.
            A tuple of such functions where the op has several outputs. Or an `Equation` for the only output.
        infer: ``(*specs, **attributes) -> Inferred``; None makes the op elementwise.
        cases: the shape classes for which the rule is proved. Elementwise ops need none.
        domains: one per input (or one for all).
        normwise: the forward is accurate for the largest element of its inputs, not for each: so are decompositions.
        stress: input values that have caused trouble: huge, tiny, equal, at a kink.
        ties: the convention at points where the derivative does not exist, in words.
        kink: the same for kinks as a choice among the one-sided derivatives, one for each input (or one for all); it is
            checked. None: any value between them will do.
        promotes: positions of the inputs that take part in dtype promotion (elementwise ops; None: all).
        grad_fn: the name of the backward node; ``<Name>Backward0`` by default.
        shrink: ``(specs, attributes) -> Case``: a small representative of a live node's shape class, where the generic
            one does not fit.
        chart: how the op is parametrised, where a direct proof gets lost in roots, or in inverses of inverses.
        complex: what complex numbers are to the rule: REFUSED, HOLOMORPHIC or DIRECT.
        into: ``(out, *arrays, **attributes)``: forward, to the same bits, written to ``out``, which has the right shape
            and dtype and overlaps no input. Saves a compiled plan the memory that forward would make. A forward that is a
            ufunc needs none.
        place: ``(x, **attributes)`` with the spec of the only input: the index of a result that is zero but for x there.
        arrays: the definition once more, for all elements at once: ``(f, *arrays, **attributes) -> array``, written with
            what ``f`` has for whole arrays. It is shown to be equal to the definition where the rule is proved; large
            arrays are checked by it. An elementwise definition needs none, since it takes arrays as it stands.
        view: forward gives a view of its only input wherever NumPy can make one, and never looks at values.
        doc: one sentence.
    """

    name: str
    forward: Callable[..., Any]
    rule: Callable[..., Any] | None = None
    define: Any = None
    infer: Callable[..., Inferred] | None = None
    cases: tuple[Case, ...] = ()
    domains: Domain | tuple[Domain, ...] = REAL
    stress: tuple[float, ...] = (0.0, -0.0, 1e-300, 40.0, -40.0, 700.0)
    ties: str = ""
    kink: Kink | tuple[Kink, ...] | None = None
    normwise: bool = False
    promotes: tuple[int, ...] | None = None
    grad_fn: str = ""
    shrink: Callable[..., Case] | None = None
    chart: Parametrisation | None = None
    backward: Callable[..., Any] | None = None
    outputs: int = 1
    complex: Complex = Complex.REFUSED
    into: Callable[..., Any] | None = None
    view: bool = False
    place: Callable[..., tuple[Any, ...]] | None = None
    arrays: Callable[..., Any] | None = None
    doc: str = ""
    inputs: tuple[str, ...] = field(init=False)
    attributes: Mapping[str, Any] = field(init=False)
    variadic: bool = field(init=False)

    def __post_init__(self) -> None:
        source, skip = self._signature()
        positional, named, variadic = _parameters(source, skip)
        object.__setattr__(self, "inputs", positional)
        object.__setattr__(self, "attributes", named)
        object.__setattr__(self, "variadic", variadic)
        if (self.view or self.place) and len(positional) != 1:
            raise ValueError(f"op {self.name!r}: view and place are for ops of one input, this has {len(positional)}")
        if not self.grad_fn:
            title = "".join(part.title() for part in self.name.rpartition(".")[2].split("_"))
            object.__setattr__(self, "grad_fn", f"{title}Backward0")

    def _signature(self) -> tuple[Callable[..., Any], int]:
        """The function that has the names of inputs and attributes, and how many of its parameters come before them."""
        if self.infer:
            return self.infer, 0
        if self.equation:
            return self.equation.residual, 2
        return (self.definitions[0], 1) if self.definitions else (self.forward, 0)

    @property
    def elementwise(self) -> bool:
        return self.infer is None

    @property
    def differentiable(self) -> bool:
        return self.rule is not None

    @property
    def definitions(self) -> tuple[Callable[..., Any], ...]:
        """One definition per output; empty when the op has none, or an equation."""
        if self.define is None or self.equation:
            return ()
        return self.define if isinstance(self.define, tuple) else (self.define,)

    @property
    def equation(self) -> Equation | None:
        """The equation that defines the output, where no formula does."""
        return self.define if isinstance(self.define, Equation) else None

    def domain(self, position: int) -> Domain:
        if isinstance(self.domains, Domain):
            return self.domains
        return self.domains[min(position, len(self.domains) - 1)]

    def kink_of(self, position: int) -> Kink | None:
        """The convention at kinks for the input at ``position``."""
        return self.kink[min(position, len(self.kink) - 1)] if isinstance(self.kink, tuple) else self.kink

    def input_name(self, position: int) -> str:
        """What the input at ``position`` is called in messages: ``x``, or ``arrays[2]`` of an op that takes any number."""
        return f"{self.inputs[0]}[{position}]" if self.variadic else self.inputs[position]

    def proof_cases(self) -> tuple[Case, ...]:
        """The declared cases; for an elementwise op, one of rank 0 and one of rank 2 unless it declares its own. A numeric
        attribute that has one value in all of them gets two more, near it: what is proved at a default may forget the
        attribute."""
        declared = self.declared_cases()
        return (*declared[:1], *self._neighbours(declared), *declared[1:])

    def declared_cases(self) -> tuple[Case, ...]:
        """The proof cases without the neighbours of attributes: those for which the rule must trace."""
        return self.cases if self.cases or not self.elementwise else (self.uniform(()), self.uniform((1, 2)))

    def _neighbours(self, declared: tuple[Case, ...]) -> Iterator[Case]:
        wholes = [{**self.attributes, **one.attributes} for one in declared]
        for others in neighbours(wholes, whole_numbers=self.elementwise and not self.cases):
            other = replace(declared[0], attributes={**declared[0].attributes, **others})
            if self.takes(other):
                yield other

    def complex_cases(self) -> tuple[Case, ...]:
        """The proof cases in complex numbers, of those that the op takes."""
        if self.complex is Complex.REFUSED:
            return ()
        return tuple(one for one in (case.over(np.complex128) for case in self.proof_cases()) if self.takes(one))

    def takes(self, one: Case) -> bool:
        """Whether inputs and attributes of a case fit this op."""
        try:
            self.inference(one.specs(), one.attributes)
        except InferenceError:
            return False
        return True

    def uniform(self, shape: tuple[int, ...]) -> Case:
        """A case with every input of ``shape``; an integer or boolean one alternates between 1 and 0."""
        count = int(np.prod(shape, dtype=int))
        mask = (np.arange(count) % 2 == 0).reshape(shape)
        return Case(tuple(mask if self.domain(k) is INTEGER else shape for k in range(len(self.inputs))))

    def arity_fault(self, count: int) -> str | None:
        """Why ``count`` inputs are not what this op takes, or None."""
        if self.variadic:
            return None if count >= 1 else "takes one input or more, got 0"
        if count == len(self.inputs):
            return None
        return f"takes {len(self.inputs)} input{'s' * (len(self.inputs) != 1)} ({', '.join(self.inputs)}), got {count}"

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
            except BaseException as error:  # a stranger's code, given a client's attributes: whatever it raises
                foreign(error)
                text = f"does not take these inputs and attributes: its infer raised {type(error).__name__}"
                raise InferenceError(text) from error
        return self._elementwise_inference(specs, whole)

    def _elementwise_inference(self, specs: Sequence[Spec], attributes: Attributes) -> Inferred:
        shapes = [spec.shape for spec in specs]
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            raise InferenceError(f"shapes {' and '.join(map(str, shapes))} do not broadcast") from None
        taking_part = range(len(specs)) if self.promotes is None else self.promotes
        try:
            common = promoted([specs[k] for k in taking_part])
        except TypeError:  # float16 and bfloat16: neither holds the other's numbers
            shown = " and ".join(dict.fromkeys(specs[k].dtype.name for k in taking_part))
            raise InferenceError(f"{shown} have no dtype in common: cast one of them with astype") from None
        outs = self._probe([common if k in taking_part else spec.dtype for k, spec in enumerate(specs)], attributes)
        if outs[0].kind in "fcV" and common.kind != "c" and outs[0] != common:
            # exp of an integer is exp of a float, and a library function may widen float16: the cast becomes a node of
            # its own, so that the rule sees one dtype.
            common = outs[0]
            outs = self._probe([common if k in taking_part else spec.dtype for k, spec in enumerate(specs)], attributes)
        inputs = tuple(Spec(shape, common if k in taking_part else spec.dtype) for k, spec in enumerate(specs))
        weak = shape == () and all(spec.weak for spec in specs)
        return Inferred(tuple(Spec(shape, out, weak) for out in outs), attributes, inputs)

    def _probe(self, dtypes: Sequence[DType], attributes: Attributes) -> list[DType]:
        """The dtypes that forward gives for these: NumPy itself is asked, with an empty array."""
        try:
            with np.errstate(all="ignore"):
                outs = self.forward(*(np.empty((0,), dtype) for dtype in dtypes), **attributes)
        except InferenceError:
            raise
        except BaseException as error:
            foreign(error)
            shown = ", ".join(dtype.name for dtype in dtypes)
            raise InferenceError(f"does not take dtype {shown}") from error
        return [np.asarray(out).dtype for out in (outs if isinstance(outs, tuple) else (outs,))]


def _parameters(function: Callable[..., Any], skip: int) -> tuple[tuple[str, ...], Mapping[str, Any], bool]:
    """Names of the inputs, defaults of the attributes, and whether any number of inputs is taken."""
    if isinstance(function, np.ufunc):  # its signature, where it has one, is that of all ufuncs: out, where, casting...
        return tuple(f"x{k}" for k in range(function.nin)), {}, False
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except ValueError:  # a ufunc without a signature
        return tuple(f"x{k}" for k in range(getattr(function, "nin", 1))), {}, False
    positional = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    named = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if variadic:
        positional = tuple(p.name for p in parameters if p.kind is p.VAR_POSITIONAL)
    return positional, named, variadic


def symbols(prefix: str, shape: tuple[int, ...], domain: Domain) -> tuple[Array, Array]:
    """An array of SymPy symbols and the array of chart values over them (equal unless the domain has a chart)."""
    names, charted = np.empty(shape, object), np.empty(shape, object)
    for index in np.ndindex(shape):
        suffix = "_".join(map(str, index))
        names[index] = sympy.Symbol(f"{prefix}{suffix}", **domain.assumptions)
        charted[index] = domain.chart(names[index])
    return names, charted
