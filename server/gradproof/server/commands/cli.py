"""The command line: serve, status, token, demo, diff, draw, ops, verify."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from argparse import ArgumentError
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer
from google.protobuf import json_format
from rich.console import Console
from rich.progress import Progress

from gradproof.client import Client, GradproofError, ProofStep, VerdictRequired
from gradproof.client.drawing.messages import draw_graph, flowing
from gradproof.client.drawing.picture import FORMATS, Picture
from gradproof.server.access.identities import new_token
from gradproof.server.commands import overview, report
from gradproof.server.commands.target import GIVEN, Target, reaching
from gradproof.server.configuration.configuration import configure, help_text, parser
from gradproof.server.configuration.settings import Settings
from gradproof.server.observability import logs
from gradproof.server.problems import Unusable
from gradproof.server.process.host import Host, serve
from gradproof.server.supervision.embedded import READY
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import verdict_pb2
from gradproof.wire import decode_spec, decode_tensor, encode_tensor

console = Console(width=None if sys.stdout.isatty() else 120)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Gradients over gRPC, each with a verdict: the rule proved, the number enclosed, the sum right.",
)

Plugin = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads this annotation
    typer.Option("--plugin", help="Load this plugin too: an import path, module or module:attribute. Repeatable."),
]


@app.callback()
def _root() -> None:
    logs.configure()


@app.command("serve", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def serve_command(context: typer.Context) -> None:
    """Serve until SIGTERM; running calls may then finish. Settings: gradproof serve --help."""
    settings = settings_of(context.args)

    least = settings.log_level  # of an embedded server only warnings and errors are worth a line
    logs.configure(settings.log_format, "warning" if settings.owner is not None and least == "info" else least)

    def announce(running: Host) -> None:
        print(f"{READY}{running.target}", flush=True)

    async def run() -> None:
        await serve(settings, announce, quick=settings.owner is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # an end in order would join threads, which an op may hold for ever

    try:
        asyncio.run(run())
    except (OSError, Unusable) as error:
        raise refused("serve", error) from error


def settings_of(words: list[str]) -> Settings:
    """The settings that ``serve`` is to serve with. Where that is not what was asked for, or they will not do, it says what
    there is to say, and exits."""
    try:
        options, flags = parser().parse_known_args(words)
        if options.help:
            typer.echo(help_text())
            raise typer.Exit
        configuration = configure(flags, options.config)
        if not options.print_config:
            configuration.check()
        elif configuration.problems:
            raise Unusable(configuration.problems, configuration.origins)
        else:
            typer.echo(configuration.text(), nl=False)
            raise typer.Exit
        if options.check_config:
            for refusal in configuration.settings.registry().refused:
                typer.echo(f"gradproof serve: would go on without a plugin: {refusal}", err=True)
            typer.echo("a server would start with this configuration")
            raise typer.Exit
    except (ArgumentError, Unusable) as error:
        raise refused("serve", error) from error
    return configuration.settings


def refused(command: str, error: Exception) -> typer.Exit:
    """The end of a command that cannot be carried out, once it has said why, a line for each reason."""
    for line in str(error).splitlines():
        typer.echo(f"gradproof {command}: {line}", err=True)
    return typer.Exit(1)


tokens = typer.Typer(no_args_is_help=True)
app.add_typer(tokens, name="token", help="Tokens by which a server knows its callers.")


@tokens.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Whose it is: up to 64 letters, digits and . _ @ -")],
    scope: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="What it may do: evaluate, verify, admin. Repeatable. Left out: evaluate and verify."),
    ] = None,
    runs: Annotated[Optional[int], typer.Option(help="Runs that it may have in flight at a time.")] = None,  # noqa: UP045
    share: Annotated[Optional[float], typer.Option(help="Its share of all runs in flight, up to 1.")] = None,  # noqa: UP045
) -> None:
    """Make a token. Prints it to standard error, and the entry for the file of --token-file to standard output."""
    try:
        token, entry = new_token(name, scope or [], runs=runs, share=share)
    except ValueError as error:
        raise refused("token new", error) from error
    typer.echo(f"The token of {name}, which is shown now and kept nowhere:\n{token}", err=True)
    typer.echo(entry, nl=False)


app.command()(reaching(GIVEN)(overview.status))


@app.command()
def demo() -> None:
    """Three graphs through a real server: a tutorial, Iris, and a wrong rule that is caught."""
    from gradproof.server.commands import demo as script

    script.run(console)


@app.command()
@reaching()
def diff(
    target: Target,
    file: Annotated[Path, typer.Argument(help="A graph as proto JSON (gradproof.v1.Graph or DifferentiateRequest).")],
    values: Annotated[Optional[Path], typer.Option(help="Leaf values: .npz, or JSON {name: list}.")] = None,  # noqa: UP045
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    budget: Annotated[float, typer.Option(help="Seconds for the checks.")] = 30.0,
    required: Annotated[str, typer.Option(help="The weakest summary that will do: verified, plausible, unchecked.")] = "",
    plugin: Plugin = None,
) -> None:
    """Differentiate the graph in FILE; exit status 1 if a gradient is wrong, or weaker than required, 2 if FILE is."""
    weaker = ""
    try:
        request = read_request(file, values)
        if required:
            request.verify.required = summary_word(required)
        with target.client(plugin) as client, console.status("running, and proving what is not proved yet"):
            result = client.send(request, budget=budget)
    except VerdictRequired as error:
        result, weaker = error.result, str(error)
    except (GradproofError, OSError, ValueError) as error:
        typer.echo(f"gradproof diff: {target.explained(error)}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(report.as_json(result), indent=2))
    else:
        report.print_result(console, result)
    if weaker:
        typer.echo(f"gradproof diff: {weaker}", err=True)
    if weaker or any(verdict.summary == "wrong" for verdict in result.verdicts.values()):
        raise typer.Exit(1)


@app.command()
@reaching()
def draw(
    target: Target,
    file: Annotated[Path, typer.Argument(help="A graph as proto JSON, as for diff.")],
    form: Annotated[
        str | None, typer.Option("--format", help="dot, mermaid or svg; default: as PATH says, or dot.")
    ] = None,
    output: Annotated[Optional[Path], typer.Option(help="Write here (.dot, .mmd, .svg), not to standard output.")] = None,  # noqa: UP045
    run: Annotated[bool, typer.Option("--run", help="Differentiate first; show values, gradients, verdicts.")] = False,
    values: Annotated[Optional[Path], typer.Option(help="Leaf values: .npz, or JSON {name: list}.")] = None,  # noqa: UP045
    budget: Annotated[float, typer.Option(help="Seconds for the checks.")] = 30.0,
    plugin: Plugin = None,
) -> None:
    """Draw the graph in FILE: green leaves, yellow inner values, grey constants. Exit status 2 if FILE is wrong."""
    try:
        wanted = form or (FORMATS.get(output.suffix, output.suffix) if output is not None else "dot")
        if wanted not in FORMATS.values():
            raise ValueError(f"there is no format {wanted!r}; there are {', '.join(FORMATS.values())}")
        request = read_request(file, values)
        picture = drawn(request, target, plugin, budget) if run else draw_graph(request.input.graph, given(request))
        text = str(getattr(picture, wanted)())
        if output is not None:
            output.write_text(text, encoding="utf-8")
        else:
            typer.echo(text, nl=False)
    except (GradproofError, OSError, ValueError) as error:
        typer.echo(f"gradproof draw: {target.explained(error)}", err=True)
        raise typer.Exit(2) from error


@app.command("ops")
@reaching()
def list_ops(
    target: Target,
    verdicts: Annotated[bool, typer.Option("--verdicts", help="Prove every rule that is not proved yet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    plugin: Plugin = None,
) -> None:
    """List the ops; with --verdicts, what is proved of their rules. Exit status 1 if a rule is refuted."""
    try:
        with target.client(plugin) as client:
            ops = client.ops()
            if verdicts:
                prove_all(client, [op.name for op in ops if op.differentiable])
                ops = client.ops()
    except (GradproofError, OSError, ValueError) as error:
        typer.echo(f"gradproof ops: {target.explained(error)}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(report.ops_as_json(ops), indent=2))
    else:
        console.print(report.op_table(ops, verdicts=verdicts))
    if verdicts and any(op.verdict and op.verdict.word == "REFUTED" for op in ops):
        raise typer.Exit(1)


@app.command()
@reaching()
def verify(
    target: Target,
    ops: Annotated[Optional[list[str]], typer.Argument(metavar="[OP]...", help="Names of ops.")] = None,  # noqa: UP045
    refresh: Annotated[bool, typer.Option(help="Prove again what is in the cache.")] = False,
    budget: Annotated[float, typer.Option(help="Seconds for all cases of an op.")] = 120.0,
    evidence: Annotated[bool, typer.Option(help="Print every obligation, with how it was met.")] = False,
    plugin: Plugin = None,
) -> None:
    """Prove the backward rules of ops, case by case; exit status 1 if a case is not proved.

    Without names: of all ops of all installed plugins, so that later runs find their proofs in the cache; exit status 1 if
    a rule is refuted.
    """
    try:
        with target.client(plugin) as client:
            if ops:
                steps = [step for op in ops for step in verify_one(client, op, budget, refresh, evidence)]
                bad = [step for step in steps if step.verdict.word not in ("PROVED", "PROVED_AE")]
            else:
                names = [op.name for op in client.ops() if op.differentiable]
                steps = prove_all(client, names, budget, refresh)
                report.print_tally(console, [step.verdict for step in steps])
                bad = [step for step in steps if step.verdict.word == "REFUTED"]
    except (GradproofError, OSError, ValueError) as error:
        typer.echo(f"gradproof verify: {target.explained(error)}", err=True)
        raise typer.Exit(2) from error
    if bad:
        raise typer.Exit(1)


def verify_one(client: Client, op: str, budget: float, refresh: bool, evidence: bool) -> Iterator[ProofStep]:
    """The proofs of one op, each printed as it comes."""
    for step in client.verify_op(op, budget=budget, refresh=refresh):
        report.print_case(console, step.verdict, step.done, step.total, evidence=evidence)
        yield step


def given(request: pb.DifferentiateRequest) -> dict[str, np.ndarray]:
    """The values beside the graph, by name."""
    return {named.name: decode_tensor(named.value) for named in request.input.values}


def drawn(request: pb.DifferentiateRequest, target: Target, plugins: list[str] | None, budget: float) -> Picture:
    """The picture of a request that is run first, with every value and gradient that there is."""
    with target.client(plugins) as client:
        ops = {op.name: op for op in client.ops()}
        moving = flowing(request.input.graph, ops)
        specs = client.infer(request.input.graph).values
        asked = {*request.gradients, *request.retain}
        request.retain.extend(n for n in sorted(moving - asked) if n in specs and specs[n][0].kind not in "biu")
        asked = set(request.input.fetch)
        nodes = request.input.graph.nodes
        request.input.fetch.extend(name for node in nodes for name in node.outputs if name not in asked)
        result = client.send(request, budget=budget)
    return draw_graph(request.input.graph, given(request), result, ops)


def prove_all(client: Client, names: list[str], budget: float = 120.0, refresh: bool = False) -> list[ProofStep]:
    """The proofs of all these ops, with a bar on the terminal."""
    steps: list[ProofStep] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("proving", total=len(names))
        for name in names:
            progress.update(bar, description=f"proving {name}")
            steps.extend(client.verify_op(name, budget=budget, refresh=refresh))
            progress.advance(bar)
    return steps


def summary_word(text: str) -> verdict_pb2.SummaryWord.ValueType:
    """The summary called ``text``. Raises ValueError."""
    if text not in ("verified", "plausible", "unchecked"):
        raise ValueError(f"--required is {text!r}; it may be verified, plausible, unchecked")
    return verdict_pb2.SummaryWord.Value(f"SUMMARY_WORD_{text.upper()}")


def read_request(file: Path, values: Path | None) -> pb.DifferentiateRequest:
    """A request from proto JSON: a DifferentiateRequest, or a Graph alone. Raises ValueError or OSError."""
    text = json.loads(file.read_text(encoding="utf-8"))
    request = pb.DifferentiateRequest()
    try:
        json_format.ParseDict(text if "input" in text else {"input": {"graph": text}}, request)
    except json_format.ParseError as error:
        raise ValueError(f"{file}: {error}") from error
    if values is None:
        return request
    dtypes = {leaf.name: leaf.spec for leaf in request.input.graph.leaves}
    if values.suffix == ".npz":
        with np.load(values, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    else:
        arrays = {name: np.asarray(value) for name, value in json.loads(values.read_text(encoding="utf-8")).items()}
    for name, array in arrays.items():
        if name in dtypes and dtypes[name].dtype:
            array = array.astype(decode_spec(dtypes[name])[1])
        request.input.values.add(name=name, value=encode_tensor(array))
    return request
