"""Reports of the command line: tables of gradients, verdicts and ops, for consoles without markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradproof.client import Gradient, OpInfo, Result, RuleVerdict, Verdict
from gradproof.client.decoding import decode_rule
from gradproof.client.events import REQUIRED
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2

COLOURS = {"verified": "green", "plausible": "yellow", "unchecked": "dim", "wrong": "bold red"}


def short(array: Any) -> str:
    """An array on a single line; of a large array the ends only."""
    if array is None:
        return "None"
    text = np.array2string(np.asarray(array), precision=4, threshold=6, edgeitems=1)
    return " ".join(text.split())


def gradient_table(result: Result) -> Table:
    """A row per gradient: value, shape, gradient, raw gradient if hooks changed it, and verdict."""
    table = Table(title="Gradients")
    for column in ("value", "shape", "gradient", "raw (before hooks)", "rule", "number", "sum", "graph", "verdict"):
        table.add_column(column, overflow="fold")
    for name, gradient in result.gradients.items():
        shape = "" if gradient.gradient is None else str(list(gradient.gradient.shape))
        raw = short(gradient.raw) if any(trace.changed for trace in gradient.hook_traces) else ""
        rule, number, total, graph, word = _words(result.verdicts.get(name))
        function = f"\n{gradient.grad_fn}" if gradient.grad_fn else ""
        table.add_row(name + function, shape, short(gradient.gradient), raw, rule, number, total, graph, word)
    return table


def _words(verdict: Verdict | None) -> tuple[str, str, str, str, Text]:
    if verdict is None:
        return "", "", "", "", Text()
    rules = ", ".join(dict.fromkeys(use.rule.word for use in verdict.uses))
    worst = max((use.value.max_ulps for use in verdict.uses), default=0.0)
    words = dict.fromkeys(use.value.word for use in verdict.uses)
    checked = sum(use.value.elements_checked for use in verdict.uses)
    total = sum(use.value.elements_total for use in verdict.uses)
    number = f"{', '.join(words)}\n{worst:.3g} ulps, {checked} of {total}" if words else "the seed"
    hooked = f"\n(below the hook on {', '.join(verdict.hooked_by)})" if verdict.hooked_by else ""
    summary = Text.assemble((verdict.summary, COLOURS[verdict.summary]), hooked)
    return rules, number, verdict.accumulation.word, verdict.graph.word, summary


def print_result(console: Console, result: Result) -> None:
    """Print values and gradients, then a line for each gradient that is not verified."""
    for name, value in result.values.items():
        console.print(f"{name} = {short(value)}")
    console.print(gradient_table(result))
    for verdict in result.verdicts.values():
        if verdict.summary != "verified":
            console.print(f"{verdict.value} is {verdict.summary}: {verdict.reason}")


def op_table(ops: Sequence[OpInfo], *, verdicts: bool) -> Table:
    """A row per op; with ``verdicts``, the proof of its rule and the time it took."""
    table = Table(title=f"{len(ops)} ops")
    columns = ["op", "inputs", "attributes", "what it is"]
    if verdicts:
        columns = ["op", "rule", "tactic", "holds except where", "proved in", "from"]
    for column in columns:
        table.add_column(column, overflow="fold")
    for op in ops:
        if not verdicts:
            attributes = " ".join(
                f"{name}={'(required)' if default is REQUIRED else repr(default)}"
                for name, default in op.attributes.items()
            )
            table.add_row(op.name, " ".join(op.inputs) + ("..." if op.variadic else ""), attributes, op.doc)
        elif op.verdict is None:
            table.add_row(op.name, "no derivative", "", "", "", "")
        else:
            verdict = op.verdict
            origin = "shipped" if verdict.shipped else "cache" if verdict.cached else "this run"
            table.add_row(op.name, verdict.word, verdict.tactic, verdict.tie_set, f"{verdict.seconds:.2f} s", origin)
    return table


def kernel_table(kernels: Sequence[pb.KernelInfo]) -> Table:
    """A row per kernel in use: a faster forward of an op in a dtype, by a plugin."""
    table = Table(title="kernels in use")
    for column in ("kernel", "op", "dtype", "largest error", "plugin"):
        table.add_column(column, overflow="fold")
    for kernel in kernels:
        table.add_row(kernel.name, kernel.op, kernel.dtype, f"{kernel.max_ulps:.2f} ulp", kernel.plugin)
    return table


def print_op(console: Console, response: op_service_pb2.GetOpResponse) -> None:
    """Print the page of an op, and the verdict on each of its cases."""
    console.print(response.page or f"# `{response.op.name}`\n\n{response.op.doc}.", highlight=False, soft_wrap=True)
    if response.cases:
        console.print("## Verdicts\n")
    for case in response.cases:
        verdict = decode_rule(case.verdict) if case.HasField("verdict") else None
        word = "not proved yet" if verdict is None else f"{verdict.word} {f'({verdict.tactic})' if verdict.tactic else ''}"
        except_where = f", except where {verdict.tie_set}" if verdict and verdict.tie_set else ""
        console.print(f"- {case.shape_class}: {word.strip()}{except_where}", highlight=False, soft_wrap=True)


def print_tally(console: Console, verdicts: Sequence[RuleVerdict]) -> None:
    """Print a line for each rule that is not proved, then the number of verdicts by word."""
    for verdict in verdicts:
        if verdict.word not in ("PROVED", "PROVED_AE"):
            print_case(console, verdict, 0, 0)
    words = {"PROVED": "proved", "PROVED_AE": "proved off ties"}
    counts = Counter(words.get(verdict.word, verdict.word) for verdict in verdicts)
    shipped = sum(verdict.shipped for verdict in verdicts)
    cached = sum(verdict.cached for verdict in verdicts) - shipped
    text = ", ".join(f"{count} {word}" for word, count in counts.items())
    console.print(f"{len(verdicts)} cases: {text} ({cached} from the cache{f', {shipped} shipped' if shipped else ''})")


def print_case(console: Console, verdict: RuleVerdict, done: int, total: int, *, evidence: bool = False) -> None:
    """Print a line of ``gradproof verify``; with ``evidence``, a further line for each obligation."""
    text = f"{done}/{total}  " if total else ""
    text += f"{verdict.op} {verdict.shape_class}: {verdict.word}"
    for label, value in (("by", verdict.tactic), ("except where", verdict.tie_set), ("because", verdict.reason)):
        text += f" {label} {value}" if value else ""
    origin = ", shipped" if verdict.shipped else ", cached" if verdict.cached else ""
    console.print(f"{text} ({verdict.seconds:.3f} s{origin})")
    for obligation in verdict.obligations if evidence else ():
        console.print(f"    {obligation}")
    if verdict.witness and verdict.witness.got:
        w = verdict.witness
        place = f"input {w.input}, " * bool(w.input) + f"element {list(w.element)}" + f", at {w.point}" * bool(w.point)
        console.print(f"    {place}: the rule gives {w.got}, the derivative is {w.expected}")


def ops_as_json(ops: Sequence[OpInfo]) -> list[dict[str, Any]]:
    """The ops as JSON values. ``attributes`` has the defaults, ``required`` the names without a default."""
    return [
        {
            **asdict(op),
            "attributes": {name: default for name, default in op.attributes.items() if default is not REQUIRED},
            "required": [name for name, default in op.attributes.items() if default is REQUIRED],
        }
        for op in ops
    ]


def as_json(result: Result) -> dict[str, Any]:
    """The result as JSON values. Arrays are nested lists; non-finite numbers are strings."""

    def array(x: Any) -> Any:
        if x is None:
            return None
        x = np.asarray(x)
        return {"dtype": x.dtype.name, "shape": list(x.shape), "values": _plain(x.tolist())}

    def gradient(value: Gradient) -> Mapping[str, Any]:
        return {
            "gradient": array(value.gradient),
            "raw": array(value.raw),
            "grad_fn": value.grad_fn,
            "hook_traces": [
                {"label": trace.label, "gradient": array(trace.gradient), "changed": trace.changed}
                for trace in value.hook_traces
            ],
        }

    def verdict(value: Verdict) -> Mapping[str, Any]:
        return {
            "summary": value.summary,
            "reason": value.reason,
            "accumulation": value.accumulation.word,
            "graph": {"word": value.graph.word, "reason": value.graph.reason, "ratio": _plain(value.graph.ratio)},
            "hooked_by": list(value.hooked_by),
            "uses": [
                {
                    "node": use.node,
                    "op": use.op,
                    "input": use.input,
                    "rule": use.rule.word,
                    "value": use.value.word,
                    "forward": use.forward.word,
                    "kernels": list(use.kernels),
                    "elements_screened": use.value.elements_screened,
                    "max_ulps": _plain(use.value.max_ulps),
                    "elements_checked": use.value.elements_checked,
                    "elements_total": use.value.elements_total,
                    "elements_sampled": use.value.elements_sampled,
                }
                for use in value.uses
            ],
        }

    return {
        "digest": result.digest,
        "values": {name: array(value) for name, value in result.values.items()},
        "gradients": {name: gradient(value) for name, value in result.gradients.items()},
        "verdicts": {name: verdict(value) for name, value in result.verdicts.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    return value if not isinstance(value, float) or np.isfinite(value) else str(value)
