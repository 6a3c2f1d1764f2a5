"""The function table over arrays against Arb: values, radii, derivatives, domains, and the calibration of bounds."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flint import arb

from gradproof.engine import points
from gradproof.engine import scalar_functions as core
from gradproof.engine.precision import precision
from gradproof.engine.registry import build_registry
from gradproof.engine.verify.arrays import UNIT, Arrays, BallArray, Dual, calibration, exact
from gradproof.engine.verify.arrays.array_function import ArrayFunction
from gradproof.engine.verify.arrays.calibration import Calibration, Measured, measure
from gradproof.engine.verify.arrays.functions import ROWS, TABLE
from gradproof.engine.verify.processes import Workers, loading
from gradproof.engine.verify.proof_pool import ProofPool

NAMES = [row.name for row in ROWS]
EDGES: dict[str, tuple[float, ...]] = {
    "log": (1e-300, 1.0),
    "log1p": (-1 + 2**-53, -0.5),
    "sqrt": (0.0, 1e-300, 1.0),
    "asin": (1.0, -1.0, 1 - 2**-53),
    "acos": (1.0, -1.0, 1 - 2**-53),
    "acosh": (1.0, 1 + 2**-52),
    "atanh": (1 - 2**-53, -1 + 2**-53),
    "tan": (1.5707963267948966, 1.5707, 11.0),
    "gamma": (-1.999, -2.5, 0.001, 1.46, 170.0),
    "lgamma": (1e-3, 1.0, 2.0, 1.5),
    "digamma": (1e-3, 1.46),
}


PARAMETRIC = ("polygamma", "zeta", "gammainc", "gammaincc", "besselj", "bessely", "besseli", "besselk")
"""Functions whose first argument is a parameter, which does not move."""


def truth(name: str, bits: int = 300) -> Callable[..., Any]:
    ball = core.TABLE[name].ball

    def at(*x: Any) -> Any:
        with precision(bits), suppress(ValueError):  # an order that is no whole number
            result = ball(*x)
            return result if result.is_finite() else None
        return None

    return at


def sample(name: str, seed: int) -> list[Any]:
    """Points that the calibration does not have."""
    rng = np.random.default_rng(seed)
    arguments = [np.concatenate([draw(rng, 60) for draw in draws]) for draws in points.DRAWS[name]]
    size = min(a.size for a in arguments)
    arguments = [rng.permutation(a)[:size] for a in arguments]
    if name in EDGES:
        arguments[0][: len(EDGES[name])] = EDGES[name]
    return arguments


def contained(ball: BallArray, k: int, true: Any, where: object) -> bool:
    """Whether something is known of an element; then it must contain the true value."""
    mid, rad = float(ball.mid[k]), float(ball.radius()[k])
    if not (np.isfinite(mid) and np.isfinite(rad)):
        return False
    assert true is not None, f"a ball at {where}, where there is no value: {mid} ± {rad}"
    with precision(300):
        assert abs(true - arb(mid)) <= arb(rad), f"at {where}: {mid} ± {rad} is off by {abs(true - arb(mid))}"
    return True


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [UNIT, 2.0**-24])
def test_values_at_floats_are_contained(name: str, unit: float) -> None:
    arguments = sample(name, 1)
    ball = TABLE[name].ball(*(exact(a, unit) for a in arguments))
    at, known = truth(name), 0
    for k, x in enumerate(zip(*(a.tolist() for a in arguments), strict=True)):
        known += contained(ball, k, at(*map(arb, x)), x)
    assert known > 0.4 * arguments[0].size


@pytest.mark.sweep(of=8)
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_values_of_balls_are_contained(name: str, seed: int) -> None:
    """At the ends of each ball and within, with radii of all sizes; some given as a part of the midpoint."""
    rng = np.random.default_rng(seed + 50)
    arguments = sample(name, seed + 2)
    with np.errstate(over="ignore"):
        rads = [np.abs(a) * np.exp2(rng.uniform(-60, 1, a.size)) for a in arguments]
    rads = [
        np.where(rng.random(a.size) < 0.3, np.exp2(rng.uniform(-20, 3, a.size)), r)
        for a, r in zip(arguments, rads, strict=True)
    ]
    last = len(arguments) - 1 if name in PARAMETRIC else 0
    if name in PARAMETRIC:
        rads[0] = np.zeros(rads[0].size)
    elif len(arguments) == 2:
        rads[seed % 2] = rads[seed % 2] * rng.choice([0, 1], rads[0].size)
        arguments[1] = np.where(rng.random(rads[1].size) < 0.3, np.rint(arguments[1]), arguments[1])
    balls = [BallArray(a, r) for a, r in zip(arguments, rads, strict=True)]
    if seed == 3:
        part = float(2.0 ** rng.integers(-52, -3))
        balls[last], rads[last] = BallArray(arguments[last], None, part=part), np.abs(arguments[last]) * part
        if len(balls) == 2 and not last:
            balls[1], rads[1] = exact(arguments[1]), np.zeros(arguments[1].size)
    ball = TABLE[name].ball(*balls)
    bits = 2500 if name in ("sin", "cos", "tan", "sinc") else 300  # so that points far out are exact
    at, known = truth(name, bits), 0
    for k in range(arguments[0].size):
        for where in (-1.0, -0.75, 0.0, 0.5, 1.0):
            with precision(bits):
                x = [
                    arb(float(a[k])) + arb(where * s) * arb(float(r[k]))
                    for a, r, s in zip(arguments, rads, (1, -1), strict=False)
                ]
            known += contained(ball, k, at(*x), x)
    assert known > arguments[0].size / 3


@pytest.mark.sweep(of=8)
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_contained_and_keep_their_digits(name: str) -> None:
    arguments = sample(name, 9)
    heads: list[Any] = [exact(a) for a in arguments]
    row = core.TABLE[name]
    for axis in range(name in PARAMETRIC, len(arguments)):
        inputs = list(heads)
        inputs[axis] = Dual(heads[axis], {0: BallArray(1.0)})
        ball = getattr(Arrays(), name)(*inputs).tangents[0]
        known = sharp = 0
        for k, x in enumerate(zip(*(a.tolist() for a in arguments), strict=True)):
            with precision(1500):
                try:
                    true = row.partials([arb(number) for number in x], [axis])[0]
                except (core.Undecided, ZeroDivisionError, ValueError):
                    true = arb("nan")
            if not true.is_finite():
                continue  # the series of the oracle ends before the derivative does: at x = 0 of a power
            if contained(ball, k, true, x):
                known += 1
                sharp += ball.radius()[k] <= 1e-8 * abs(ball.mid[k]) + 1e-280
        assert known > 0.25 * arguments[0].size
        assert sharp >= 0.9 * known


def test_known_derivatives_at_special_points() -> None:
    f = Arrays()

    def slope(name: str, x: float, *others: float) -> tuple[float, float]:
        ball = getattr(f, name)(Dual(exact(np.array([x])), {0: BallArray(1.0)}), *(exact(np.array([y])) for y in others))
        return float(ball.tangents[0].mid[0]), float(ball.tangents[0].radius()[0])

    assert slope("power", -2.0, 3.0)[0] == 12
    assert slope("power", 0.0, 1.0)[0] == 1
    assert slope("power", 0.0, 2.0)[0] == 0
    assert slope("power", 0.0, 0.0) == (0, 0)
    assert slope("power", -3.0, 0.0)[0] == 0
    assert not np.isfinite(slope("power", 0.0, 0.5)).all()
    assert not np.isfinite(slope("sqrt", 0.0)).all()
    assert not np.isfinite(slope("asin", 1.0)).all()
    assert not np.isfinite(slope("atan2", 0.0, 0.0)).all()
    value, rad = slope("tanh", 300.0)
    assert rad < 1e-13 * value
    value, rad = slope("tanh", 800.0)
    assert abs(value) + rad < 1e-290
    value, rad = slope("atanh", 1 - 2**-53)
    assert rad < 1e-14 * value


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_known_stays_so(name: str) -> None:
    row = TABLE[name]
    others = [exact(np.full(4, 2.0)) for _ in points.DRAWS[name][1:]]
    bad = BallArray([0.5, 0.5, np.nan, np.inf], [np.inf, np.nan, 0.0, np.inf])
    with np.errstate(all="ignore"):
        ball = row.ball(bad, *others)
        assert not (np.isfinite(ball.mid) & np.isfinite(ball.radius())).any()
        for other in others:
            ball = row.ball(other, bad)
            assert not (np.isfinite(ball.mid) & np.isfinite(ball.radius())).any()


def test_a_wide_power_of_a_wide_exponent_is_contained() -> None:
    """The radius is e^500 of the value, so that the rounding of the 500 counts."""
    x, a, ra = 7.756008266667504e197, -1.0, 1.14970530837592
    ball = TABLE["power"].ball(exact(np.array([x])), BallArray([a], [ra]))
    with precision(300):
        contained(ball, 0, arb(x) ** (arb(a) + arb(ra)), x)
    assert np.isfinite(ball.radius()).all()


def test_domains_end_where_they_do() -> None:
    far_substitutes = {
        "log": (-1.0, 0.0), "log1p": (-1.0, -2.0), "sqrt": (-5e-324,), "asin": (1 + 2**-52, -2.0), "acos": (2.0,),
        "acosh": (1 - 2**-53, -3.0), "atanh": (1.0, -1.0, 2.0), "gamma": (0.0, -1.0, -3.0), "lgamma": (0.0, -0.5, -2.0),
        "digamma": (0.0, -0.5), "exp": (710.0,), "gamma ": (172.0,), "sinh": (711.0, -711.0),
    }  # fmt: skip
    inside = {"log": 1.0, "log1p": 0.0, "sqrt": 1.0, "asin": 0.9, "acos": 0.9, "acosh": 1.5, "atanh": 0.9, "lgamma": 1.0}
    for name, places in far_substitutes.items():
        ball = TABLE[name.strip()].ball(exact(np.array(places)))
        assert not (np.isfinite(ball.mid) & np.isfinite(ball.radius())).any(), name
    for name, x in inside.items():
        assert not np.isfinite(TABLE[name].ball(BallArray([x], [1.01])).radius()).any(), name
    assert not np.isfinite(TABLE["tan"].ball(BallArray([1.5], [0.1])).radius()).any()
    assert not np.isfinite(TABLE["gamma"].ball(BallArray([-1.9], [0.11])).radius()).any()
    assert not np.isfinite(TABLE["atan2"].ball(BallArray([0.1], [0.2]), exact(np.array([-1.0]))).radius()).any()
    assert TABLE["atan2"].ball(exact(np.array([-0.0])), BallArray([-1.0], [0.5])).mid[0] > 3
    assert not np.isfinite(TABLE["power"].ball(BallArray([-2.0], [0.1]), BallArray([3.0], [1e-9])).radius()).any()


def test_tails_keep_their_digits() -> None:
    """Where SciPy's own erfc has lost hundreds of units."""
    x = np.linspace(20, 25, 500)
    ball = TABLE["erfc"].ball(exact(x))
    assert (ball.radius() < 4e-15 * ball.mid).all()
    mask = Arrays().exp(exact(np.array([np.finfo(np.float64).min, 1.0])) + exact(np.array([0.3, 0.3])) * 0.7)
    assert mask.mid[0] == 0
    assert mask.radius()[0] < 1e-290


# calibration


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_every_function_is_as_accurate_here_as_it_states(row: ArrayFunction) -> None:
    assert Calibration().distrust(row) == ""
    assert measure(row) == measure(row)


def spoiled(array: Any, where: Any, part: float) -> Any:
    return np.where(where, array * (1 + part), array)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("exp", lambda x: spoiled(np.exp(x), x < -600.0, 1e-14)),
        ("log", lambda x: spoiled(np.log(x), (x > 0.5) & (x < 1), 2e-15)),
        ("sin", lambda x: spoiled(np.sin(x), np.abs(x) > 1e15, 2e-15)),
        ("tanh", lambda x: np.tanh(x.astype(np.float32)).astype(np.float64)),
        ("log1p", lambda x: np.log(1 + x)),
        ("erfc", lambda x: 1 - TABLE["erf"].numpy(x)),
        ("cos", lambda x: np.concatenate([np.cos(x[:-1]), np.cos(x[-1:]) * (1 + 2e-15)])),
        ("sqrt", lambda x: np.where(x < 0, 0.0, np.sqrt(np.abs(x)))),
        ("lgamma", lambda x: np.log(np.abs(TABLE["gamma"].numpy(x.astype(np.float32))))),
        ("atan2", lambda y, x: np.arctan(y / x)),
    ],
)
def test_a_function_that_is_less_accurate_is_not_read(name: str, bad: Callable[..., Any]) -> None:
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            NotImplementedError,
            match=rf"^{name}\(.*\) is off by .* units in the last place .* {TABLE[name].ulps:g} are allowed",
        ),
    ):
        Calibration().demand(replace(TABLE[name], numpy=bad))


def test_a_reading_asks_before_it_uses_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Calibration()
    here._known = {"exp": Measured(900.0, (0.25,))}
    here._read = True
    monkeypatch.setattr(calibration, "HERE", here)
    with pytest.raises(NotImplementedError, match=r"exp\(0.25\) is off by 900 units"):
        Arrays().exp(exact(np.array([1.0])))
    Arrays().log(exact(np.array([1.0])))
    assert set(here._known) == {"exp", "log"}


def test_measurements_are_kept_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kept"
    first = Calibration(folder).measured(TABLE["exp"])
    second = Calibration(folder)
    second.measured(TABLE["log"])
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(calibration, "measure", lambda row: pytest.fail("they are repeated"))
    third = Calibration(folder)
    assert third.measured(TABLE["exp"]) == first
    assert third.measured(TABLE["log"]).ulps > 0
    with pytest.raises(pytest.fail.Exception):
        third.measured(TABLE["sin"])


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"schema": 1}', "changed", "\xff", "[" * 100_000])
def test_a_damaged_file_is_made_again(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "kept"
    Calibration(folder).measured(TABLE["exp"])
    [file] = folder.iterdir()
    sound = file.read_text()
    if damage == "changed":
        whole = json.loads(sound)
        whole["body"] = whole["body"].replace("exp", "log")
        file.write_text(json.dumps(whole))
    else:
        file.write_text(damage, encoding="latin-1")
    with caplog.at_level(logging.WARNING):
        assert Calibration(folder).distrust(TABLE["exp"]) == ""
    assert "they are repeated" in caplog.text
    assert file.read_text() == sound


def test_a_folder_of_others_is_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "kept"
    Calibration(folder).measured(TABLE["exp"])
    [file] = folder.iterdir()
    before = file.read_text()
    folder.chmod(0o777)
    with caplog.at_level(logging.WARNING):
        Calibration(folder).measured(TABLE["log"])
    assert "may be written to by others" in caplog.text
    assert file.read_text() == before


def test_the_documented_bounds_are_those_of_the_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "verdicts.md").read_text(encoding="utf-8")
    bounds = {}
    for line in text.split("| function | units | and |")[1].splitlines()[2:]:
        if not line.startswith("|"):
            break
        names, ulps, absolute = (cell.strip() for cell in line.strip("|").split("|"))
        power = absolute.partition("^")[2]
        for name in names.split(","):
            bounds[name.strip(" `")] = float(ulps), 2.0 ** float(power) if power else 0.0
    assert bounds == {row.name: (row.ulps, row.absolute) for row in ROWS}
    assert f"{points.COUNT} points" in text


def test_every_function_of_the_definitions_has_a_row() -> None:
    assert {row.name for row in core.FUNCTIONS} <= set(TABLE)


# random programs of functions

CHAINS = {
    "exp": 1, "log": 1, "sqrt": 1, "sin": 1, "cos": 1, "sinc": 1, "tan": 1, "tanh": 1, "atan": 1, "erf": 1, "erfc": 1,
    "expm1": 1, "log1p": 1, "sinh": 1, "cosh": 1, "asinh": 1, "lgamma": 1, "power": 2, "atan2": 2,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("unit", [UNIT, 2.0**-24, 2.0**-11])
def test_random_programs_are_contained_or_not_known(unit: float) -> None:
    """Values and derivatives, against Arb's power series."""
    known = [0, 0]
    for seed in range(150):
        rng = np.random.default_rng(seed)
        x = rng.choice([-1, 1], 12) * np.exp2(rng.uniform(-6, 3, 12))
        with np.errstate(all="ignore"):
            moving = program(Arrays(), Dual(exact(x, unit), {0: BallArray(1.0)}), np.random.default_rng(seed))
        for k, number in enumerate(x.tolist()):
            with precision(400):
                try:
                    value, slope = program(Series(), (arb(number), arb(1)), np.random.default_rng(seed))
                except (core.Undecided, ZeroDivisionError, ValueError):
                    continue
            if value.is_finite():
                known[0] += contained(moving.head, k, value, number)
            if slope.is_finite():
                shape = (
                    np.broadcast_to(moving.tangents[0].mid, x.shape),
                    np.broadcast_to(moving.tangents[0].radius(), x.shape),
                )
                known[1] += contained(BallArray(*shape), k, slope, number)
    assert min(known) > 400


def program(f: Any, x: Any, rng: np.random.Generator) -> Any:
    """A random chain of functions and arithmetic of one variable."""
    names = sorted(CHAINS)
    outputs = [x]
    for _ in range(4):
        name = names[rng.integers(len(names))]
        a, b = outputs[rng.integers(len(outputs))], outputs[-1]
        value = getattr(f, name)(*((b, a) if CHAINS[name] == 2 else (b,)))
        choice = rng.integers(5)
        a = outputs[rng.integers(len(outputs))]
        if isinstance(f, Series):
            value = f.joined(value, a, int(choice))
        else:
            value = [value, value * a, value + a, value / (a * a + 1), a - value * 0.5][choice]
        outputs.append(value)
    return outputs[-1]


class Series:
    """The same in pairs of Arb's balls: a value and its derivative, by `core.ScalarFunction.partials`."""

    def __getattr__(self, name: str) -> Any:
        row = core.TABLE[name]

        def apply(*pairs: Any) -> Any:
            heads = [p[0] for p in pairs]
            slopes = row.partials(heads, range(len(heads)))
            return row.ball(*heads), sum((s * p[1] for s, p in zip(slopes, pairs, strict=True)), arb(0))

        return apply

    def joined(self, value: Any, a: Any, choice: int) -> Any:
        (v, dv), (u, du) = value, a
        below = u * u + 1
        return [
            (v, dv),
            (v * u, dv * u + v * du),
            (v + u, dv + du),
            (v / below, (dv * below - v * 2 * u * du) / (below * below)),
            (u - v / 2, du - dv / 2),
        ][choice]


def test_workers_learn_where_measurements_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = build_registry(())
    workers = ProofPool(registry, tmp_path / "proofs", workers=Workers()).workers
    assert workers._load_arguments()["folder"] == tmp_path / "proofs"
    for name in ("_registry", "_extra_bytes"):
        monkeypatch.setattr(loading, name, None)
    monkeypatch.setattr(calibration, "HERE", calibration.HERE)
    loading.load_registry(**workers._load_arguments())
    Arrays().exp(exact(np.array([1.0])))
    [file] = (tmp_path / "proofs").iterdir()
    assert file.suffix == ".calibration"
    assert ProofPool(registry, None, workers=Workers()).workers.folder is None
