"""L1: is a backward rule the derivative of its op's definition, for every input?

First refute: at exact random points the traced rule, read in balls, is compared with the derivative of the definition
(from the tape, which uses no rule). A ball around the difference that excludes zero is a counterexample, with witness.
Then prove: rule and definition are read with SymPy symbols, and ``rule - d/dx definition`` must be zero as an identity.
Branches are split into smooth regions first, each of which must be proved; what is left out is the set where both sides
of a comparison are equal, and the verdict names it (PROVED_AE).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from random import Random
from typing import Any, TypeAlias

import numpy as np
import sympy
from flint import arb
from sympy.core.relational import Relational

from gradproof.engine.errors import RuleFault
from gradproof.engine.functions import SYMBOLIC, Undecided
from gradproof.engine.op import REAL, Case, Inferred, Op, symbols
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, is_differentiable
from gradproof.engine.trace import Program
from gradproof.engine.verify.reading import NoDefinition, concrete, read, read_op
from gradproof.engine.verify.tape import Tape, TooLarge, ball_of
from gradproof.engine.verify.verdict import Rule, RuleVerdict

POINTS = 3
MAX_REGIONS = 128
MAX_ROWS = 10_000
REFUTE_BITS = 256


class _Open(Exception):
    """An obligation that no tactic closes; the message says which. ``region``: it is that of a region cut out by
    branches, where random points may not reach, so that their agreement says nothing."""

    def __init__(self, message: str, *, region: bool = False) -> None:
        super().__init__(message)
        self.region = region


def prove(registry: Registry, op: Op, case: Case) -> RuleVerdict:
    """The verdict on the rule of ``op`` for one shape class. Never raises for a wrong rule; may run long or use much
    memory (SymPy), so the pool runs it in a process that can be killed."""
    started = time.perf_counter()
    domain = ", ".join(f"{name} {op.domain(k).name}" for k, name in enumerate(op.inputs))

    def verdict(word: Rule, **evidence: Any) -> RuleVerdict:
        seconds = time.perf_counter() - started
        return RuleVerdict(word, op.name, str(case), domain=domain, seconds=seconds, **evidence)

    try:
        specs = case.specs()
        found = op.inference(specs, case.attributes)
        rule = registry.rule_of(op, case)
        witness, agreed = _refute(op, case, found, rule)
        if witness:
            return verdict(Rule.REFUTED, reason="differs at an exact point", **witness)
        try:
            tactics, ties = _prove(op, case, found, rule)
        except _Open as error:
            if not agreed or error.region:
                raise
            where = f"agrees at {agreed} exact points to {REFUTE_BITS} bits, but {error}"
            return verdict(Rule.AGREED, reason=where)
    except (NoDefinition, RuleFault) as error:
        return verdict(Rule.NO_SPEC, reason=str(error))
    except _Open as error:
        return verdict(Rule.UNDECIDED, reason=str(error))
    except MemoryError:
        return verdict(Rule.UNDECIDED, reason="out of memory")
    used = " ".join(dict.fromkeys(tactics)) or "structural"
    if ties:
        return verdict(Rule.PROVED_AE, tactic=used, tie_set=", ".join(sorted(ties)))
    return verdict(Rule.PROVED, tactic=used)


def _integer_inputs(case: Case, found: Inferred) -> list[Array | None]:
    """For each input its concrete values if it is integer or boolean, at the shape the op sees."""
    wanted = found.inputs or case.specs()
    return [
        concrete(np.broadcast_to(x, spec.shape)) if isinstance(x, np.ndarray) else None
        for x, spec in zip(case.inputs, wanted, strict=True)
    ]


# refuting


def _refute(op: Op, case: Case, found: Inferred, rule: Program) -> tuple[dict[str, str] | None, int]:
    """A witness against the rule, or None; and the number of points at which all was finite and agreed. A point where a
    branch is tied, or where something is not finite, says nothing: that is not agreement."""
    agreed = 0
    for seed in range(POINTS):
        try:
            with precision(REFUTE_BITS):
                witness, finite = _refute_at(op, case, found, rule, Random(f"{op.name} {case} {seed}"))
        except (Undecided, TooLarge, ZeroDivisionError, ValueError):
            continue
        if witness:
            return witness, agreed
        agreed += finite
    return None, agreed


def _refute_at(op: Op, case: Case, found: Inferred, rule: Program, random: Random) -> tuple[dict[str, str] | None, bool]:
    wanted = found.inputs or case.specs()
    tape = Tape()
    known = _integer_inputs(case, found)
    inputs, plain, shown = [], [], []
    for k, spec in enumerate(wanted):
        exact = known[k]
        if exact is not None:
            inputs.append(exact)
            plain.append(exact)
            continue
        points: Array = np.empty(spec.shape, object)
        variables: Array = np.empty(spec.shape, object)
        for index in np.ndindex(spec.shape):
            value = op.domain(k).sample(random)
            points[index] = tape.number(value)
            variables[index] = tape.variable(tape.number(value))
            shown.append(f"{op.input_name(k)}{list(index) if index else ''} = {value}")
        inputs.append(variables)
        plain.append(points)
    outputs = read_op(op, tape, inputs, found.attributes, found.outputs)
    cotangents = []
    for spec in found.outputs:
        g = np.empty(spec.shape, object)
        for index in np.ndindex(spec.shape):
            g[index] = tape.number(_cotangent(random))
        cotangents.append(g)
    values = [_balls(y) for y in outputs]
    flat_outputs = [y for array in outputs for y in array.flat]
    flat_seeds = [g for array in cotangents for g in array.flat]
    claimed = read(rule, [*cotangents, *values, *plain], tape)
    if tape.tied:
        return None, False
    finite = True
    for k, (mine, variables) in enumerate(zip(claimed, inputs, strict=True)):
        if known[k] is not None:
            continue
        truth = tape.gradient(flat_outputs, flat_seeds, list(variables.flat))
        for index, true in zip(np.ndindex(variables.shape), truth, strict=True):
            got = arb(0) if mine is None else arb(ball_of(mine[index]))
            finite = finite and (got - true).is_finite()
            if (got - true).is_finite() and not (got - true).contains(0):
                digits = next(
                    n for n in (12, 25, 50, 80) if n == 80 or got.str(n, radius=False) != true.str(n, radius=False)
                )
                return {
                    "input": op.input_name(k),
                    "element": str(list(index)),
                    "point": "; ".join(shown[:12]),
                    "got": "NO_GRADIENT" if mine is None else got.str(digits, radius=False),
                    "expected": true.str(digits, radius=False),
                }, finite
    return None, finite


def _cotangent(random: Random) -> Fraction:
    """A cotangent of either sign: one that is always positive hides faults."""
    return Fraction(random.randint(1, 31) * random.choice((-1, 1)), 8)


def _balls(array: Array) -> Array:
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        result[index] = ball_of(array[index])
    return result


# proving


def _prove(op: Op, case: Case, found: Inferred, rule: Program) -> tuple[list[str], set[str]]:
    """Tactics used, and the ties that were left out. Raises _Open."""
    wanted = found.inputs or case.specs()
    known = _integer_inputs(case, found)
    variables: list[Array | None] = []
    inputs: list[Array] = []
    for k, spec in enumerate(wanted):
        exact = known[k]
        if exact is not None:
            variables.append(None)
            inputs.append(exact)
        else:
            names, charted = symbols(f"{op.inputs[0]}{k}" if op.variadic else op.inputs[k], spec.shape, op.domain(k))
            variables.append(names)
            inputs.append(charted)
    outputs = read_op(op, SYMBOLIC, inputs, found.attributes, found.outputs)
    cotangents = [symbols(f"g{k}_", spec.shape, REAL)[0] for k, spec in enumerate(found.outputs)]
    claimed = read(rule, [*cotangents, *outputs, *inputs], SYMBOLIC)
    weighted = [(g, y) for gs, ys in zip(cotangents, outputs, strict=True) for g, y in zip(gs.flat, ys.flat, strict=True)]
    tactics: list[str] = []
    ties = {f"{difference} = 0" for _, y in weighted for difference in _differences(y)}
    for k, mine in enumerate(claimed):
        cells = variables[k]
        if cells is None:
            continue
        if mine is None:
            if is_differentiable(wanted[k].dtype) and any(sympy.diff(y, n) != 0 for _, y in weighted for n in cells.flat):
                raise _Open(f"the rule says NO_GRADIENT for input {op.input_name(k)}, which the result depends on")
            continue
        for index in np.ndindex(cells.shape):
            symbol = cells[index]
            truth = sympy.Add(*(g * sympy.diff(y, symbol) for g, y in weighted if symbol in _free(y)))
            residual = sympy.sympify(mine[index]) - truth
            try:
                _close(residual, tactics, ties)
            except _Open as error:
                place = f"input {op.input_name(k)}{list(index) if index else ''}"
                raise _Open(f"{place}: {error}", region=error.region) from None
    return tactics, ties


def _free(expression: Any) -> set[Any]:
    return set(getattr(expression, "free_symbols", ()))


def _differences(expression: Any) -> Iterator[Any]:
    """What is compared with 0 in ``expression``: where one of these is 0 a definition may have no derivative."""
    for relation in getattr(expression, "atoms", lambda _: ())(Relational):
        if not relation.has(sympy.Piecewise):
            yield sympy.expand(relation.lhs - relation.rhs)


def _close(residual: Any, tactics: list[str], ties: set[str]) -> None:
    """Show that ``residual`` is zero in every region, adding the tactics used and the ties left out. Raises _Open."""
    regions = 0
    for assumed, smooth in _regions(residual, []):
        regions += 1
        if regions > MAX_REGIONS:
            raise _Open(f"more than {MAX_REGIONS} regions")
        ties.update(f"{difference} = 0" for difference, _ in assumed)
        tactic = zero_tactic(smooth)
        if tactic is None:
            if _infeasible(assumed):
                continue
            where = " and ".join(f"{difference} {'>' if sign > 0 else '<'} 0" for difference, sign in assumed)
            text = f"no tactic shows that {_short(smooth)} is 0" + (f", where {where}" if where else "")
            raise _Open(text, region=bool(assumed))
        tactics.append(tactic)


Assumed: TypeAlias = list[tuple[Any, int]]


def _regions(expression: Any, assumed: Assumed) -> Iterator[tuple[Assumed, Any]]:
    """Every assignment of signs to the comparisons in ``expression``, with what the expression is there. Innermost
    comparisons are resolved first; differences that are equal up to sign are one."""
    pending = [(expression, assumed)]
    while pending:
        current, signs = pending.pop()
        relations = [r for r in getattr(current, "atoms", lambda _: ())(Relational) if not r.has(sympy.Piecewise)]
        if not relations:
            yield signs, current
            continue
        first = min(relations, key=sympy.default_sort_key)
        difference = sympy.expand(first.lhs - first.rhs)
        if zero_tactic(difference) is not None:  # both sides are one: this is no branch, and every point is a tie
            tied = sympy.true if isinstance(first, (sympy.Eq, sympy.Le, sympy.Ge)) else sympy.false
            pending.append((current.xreplace({first: tied}), signs))
            continue
        if not _differs_somewhere(difference):
            raise _Open(f"cannot tell whether {_short(difference)} is 0 everywhere", region=True)
        for sign in (1, -1):
            resolved = current.xreplace({r: _truth(r, difference, sign) for r in relations if _matches(r, difference)})
            pending.append((resolved, [*signs, (difference, sign)]))


def _differs_somewhere(difference: Any) -> bool:
    """Whether ``difference`` is clearly not 0 at some point, so that it is 0 on a thin set only."""
    free = sorted(difference.free_symbols, key=sympy.default_sort_key)
    for seed in range(POINTS):
        random = Random(seed)
        point = {s: sympy.Rational(random.randint(1, 200), 97) for s in free}
        value = sympy.N(difference.xreplace(point), 40)
        if value.is_number and value.is_finite and abs(value) > sympy.Rational(1, 10**20):
            return True
    return False


def _matches(relation: Any, difference: Any) -> bool:
    mine = sympy.expand(relation.lhs - relation.rhs)
    return bool(mine == difference or mine == -difference or sympy.expand(mine + difference) == 0)


def _truth(relation: Any, difference: Any, sign: int) -> Any:
    """The truth of a comparison off the tie, where ``difference`` has this sign."""
    if sympy.expand(relation.lhs - relation.rhs) != difference:
        sign = -sign
    if isinstance(relation, (sympy.Gt, sympy.Ge)):
        return sympy.true if sign > 0 else sympy.false
    if isinstance(relation, (sympy.Lt, sympy.Le)):
        return sympy.true if sign < 0 else sympy.false
    return sympy.false if isinstance(relation, sympy.Eq) else sympy.true


def _infeasible(assumed: Sequence[tuple[Any, int]]) -> bool:
    """Whether no point has these signs: decided exactly, by eliminating one variable after the other (Fourier and
    Motzkin) in rationals, where all differences are affine with rational coefficients; else unknown, which is False."""
    free = sorted({s for difference, _ in assumed for s in difference.free_symbols}, key=sympy.default_sort_key)
    rows: list[tuple[Any, ...]] = []  # coefficients and a constant: their combination is above 0
    for difference, sign in assumed:
        try:
            polynomial = sympy.Poly(difference, *free)
        except sympy.PolynomialError:
            return False
        row = tuple(sign * polynomial.coeff_monomial(m) for m in (*free, 1))
        if polynomial.total_degree() > 1 or not all(c.is_Rational for c in row):
            return False
        rows.append(row)
    rows += [tuple(sympy.Integer(s == t) for t in (*free, 1)) for s in free if s.is_positive]
    for k in range(len(free)):
        above = [row for row in rows if row[k] > 0]
        below = [row for row in rows if row[k] < 0]
        if len(above) * len(below) > MAX_ROWS:
            return False
        rows = [row for row in rows if row[k] == 0] + [
            tuple(p * -down[k] + q * up[k] for p, q in zip(up, down, strict=True)) for up in above for down in below
        ]
    return any(row[-1] <= 0 for row in rows)


# the ladder


def _to_exponentials(e: Any) -> Any:
    """Hyperbolic functions as exponentials, a^b as exp(b log a), so that one kind of kernel is left."""
    e = e.rewrite((sympy.sinh, sympy.cosh, sympy.tanh), sympy.exp).replace(sympy.erfc, lambda u: 1 - sympy.erf(u))
    e = e.replace(
        lambda p: isinstance(p, sympy.Pow) and not p.exp.is_Rational,
        lambda p: sympy.exp(sympy.expand(p.exp * sympy.log(p.base))),
    )
    return sympy.expand(sympy.powsimp(e), power_base=False, log=False)


def _kernel(e: Any) -> bool:
    """Rewrite to one kind of kernel, expand exponents, and cancel over the kernels as independent generators."""
    numerator, _ = sympy.fraction(sympy.together(_to_exponentials(e)))
    return bool(sympy.expand(sympy.expand(numerator), trig=False).rewrite(sympy.exp) == 0 or _polynomial_zero(numerator))


def _polynomial_zero(numerator: Any) -> bool:
    expanded = sympy.expand_power_exp(sympy.expand(numerator))
    return bool(sympy.cancel(sympy.together(sympy.powsimp(sympy.expand(expanded)))) == 0)


LADDER: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("structural", lambda e: e == 0),
    ("expand", lambda e: sympy.expand(e) == 0),
    ("cancel", lambda e: sympy.cancel(sympy.together(e)) == 0),
    ("kernel", _kernel),
    ("simplify", lambda e: sympy.simplify(e) == 0),
)


def zero_tactic(expression: Any) -> str | None:
    """The name of the first tactic that shows ``expression`` to be zero, or None. A SymPy Float, nan or infinity in it
    closes nothing."""
    e = sympy.sympify(expression)
    if e.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return None
    floats = e.atoms(sympy.Float)
    if floats:
        e = e.xreplace({x: sympy.Rational(*float(x).as_integer_ratio()) for x in floats})
    for name, tactic in LADDER:
        try:
            if tactic(e):
                return name
        except (sympy.PolynomialError, NotImplementedError, TypeError, ValueError, RecursionError):
            continue
    return None


def _short(expression: Any) -> str:
    text = str(expression)
    return text if len(text) <= 160 else f"{text[:157]}..."
