"""The command line: serve, status, token, demo, diff, draw, ops, explain-op, verify, new-plugin."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from argparse import ArgumentError
from collections.abc import Collection, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from google.protobuf import json_format
from rich.console import Console
from rich.progress import Progress

from gradproof.client import Client, GradproofError, OpInfo, ProofStep, VerdictRequired
from gradproof.client.drawing.messages import draw_graph, flowing
from gradproof.client.drawing.picture import FORMATS, Picture
from gradproof.server.access.identities import new_token
from gradproof.server.commands import demo, explain_op, new_plugin, overview, report
from gradproof.server.commands.target import REQUIRED, Target, with_target
from gradproof.server.configuration.configuration import configure, help_text, parser
from gradproof.server.configuration.settings import Settings
from gradproof.server.observability import logs
from gradproof.server.problems import ConfigurationError
from gradproof.server.process.host import Host, serve
from gradproof.server.supervision.embedded import READY
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import verdict_pb2
from gradproof.wire import decode_spec, decode_tensor, encode_tensor

console = Console(width=None if sys.stdout.isatty() else 120, markup=False, emoji=False)
"""Texts of graphs and plugins are printed as they are: brackets are no markup, and colons no emoji."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Gradients over gRPC, each with a verdict: the rule proved, the number enclosed, the sum right.",
)

FAULTS = (GradproofError, OSError, ValueError)
"""Errors of requests and of files, for which a command exits with status 2."""

Plugin = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads this annotation
    typer.Option("--plugin", help="Load this plugin: an import path, module or module:attribute. Repeatable."),
]


@app.callback()
def _root(
    shows_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if shows_version:
        typer.echo(f"gradproof {version('gradproof')}")
        raise typer.Exit
    logs.configure()


@app.command("serve", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def serve_command(context: typer.Context) -> None:
    """Serve until SIGTERM; running calls may then finish. Settings: gradproof serve --help."""
    settings = settings_of(context.args)
    level = settings.log_level
    if settings.owner is not None and level == "info":  # an embedded server logs warnings only
        level = "warning"
    logs.configure(settings.log_format, level)

    def announce(host: Host) -> None:
        print(f"{READY}{host.target}", flush=True)

    async def run() -> None:
        await serve(settings, announce, quick=settings.owner is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # a regular exit would join threads, which an op may block for ever

    try:
        asyncio.run(run())
    except (OSError, ConfigurationError) as error:
        raise refused("serve", error) from error


def settings_of(words: list[str]) -> Settings:
    """The settings of ``serve``. Prints and exits for --help, --print-config and --check-config, and if there are
    problems."""
    try:
        options, flags = parser().parse_known_args(words)
        if options.help:
            typer.echo(help_text())
            raise typer.Exit
        configuration = configure(flags, options.config)
        if not options.print_config:
            configuration.check()
        elif configuration.problems:
            raise ConfigurationError(configuration.problems, configuration.origins)
        else:
            typer.echo(configuration.text(), nl=False)
            raise typer.Exit
        if options.check_config:
            for refusal in configuration.settings.registry().refused:
                part = logs.refused_part(refusal)
                article = "an" if part == "op" else "a"
                typer.echo(f"gradproof serve: would start without {article} {part}: {refusal}", err=True)
            typer.echo("a server would start with this configuration")
            raise typer.Exit
    except (ArgumentError, ConfigurationError) as error:
        raise refused("serve", error) from error
    return configuration.settings


def refused(command: str, error: object, status: int = 1) -> typer.Exit:
    """Print the lines of ``error``, and return the exit of a command that failed."""
    for line in str(error).splitlines():
        typer.echo(f"gradproof {command}: {line}", err=True)
    return typer.Exit(status)


tokens = typer.Typer(no_args_is_help=True)
app.add_typer(tokens, name="token", help="Tokens of the callers of a server.")


@tokens.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Name of the caller: up to 64 letters, digits and . _ @ -")],
    scope: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Its scope: evaluate, verify or admin. Repeatable. Default: evaluate and verify."),
    ] = None,
    runs: Annotated[Optional[int], typer.Option(help="Runs that it may have in flight.")] = None,  # noqa: UP045
    share: Annotated[Optional[float], typer.Option(help="Its share of all runs in flight, up to 1.")] = None,  # noqa: UP045
) -> None:
    """Make a token. Prints it to standard error, and its entry for the file of --token-file to standard output."""
    try:
        token, entry = new_token(name, scope or [], runs=runs, share=share)
    except ValueError as error:
        raise refused("token new", error) from error
    typer.echo(f"The token of {name}, which is shown once and stored nowhere:\n{token}", err=True)
    typer.echo(entry, nl=False)


app.command()(with_target(REQUIRED)(overview.status))
app.command()(explain_op.explain_op)
app.command()(new_plugin.new_plugin)


@app.command("demo")
def demo_command() -> None:
    """Run three graphs through a real server: a tutorial, Iris, and a wrong rule that is caught."""
    demo.run(console)


@app.command()
@with_target()
def diff(
    target: Target,
    file: Annotated[Path, typer.Argument(help="A graph as proto JSON (gradproof.v1.Graph or DifferentiateRequest).")],
    values: Annotated[Optional[Path], typer.Option(help="Leaf values: .npz, or JSON {name: list}.")] = None,  # noqa: UP045
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    budget: Annotated[float, typer.Option(help="Seconds for the checks.")] = 30.0,
    required: Annotated[str, typer.Option(help="The weakest summary to accept: verified, plausible, unchecked.")] = "",
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
    except FAULTS as error:
        raise refused("diff", target.explain(error), 2) from error
    if as_json:
        print(json.dumps(report.as_json(result), indent=2))
    else:
        report.print_result(console, result)
    if weaker:
        typer.echo(f"gradproof diff: {weaker}", err=True)
    if weaker or any(verdict.summary == "wrong" for verdict in result.verdicts.values()):
        raise typer.Exit(1)


@app.command()
@with_target()
def draw(  # noqa: PLR0913 - each parameter is an option of the command
    target: Target,
    file: Annotated[Path, typer.Argument(help="A graph as proto JSON, as for diff.")],
    form: Annotated[
        str | None, typer.Option("--format", help="dot, mermaid or svg; default: by the suffix of --output, or dot.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file (.dot, .mmd, .svg), not to standard output.")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Differentiate first; show values, gradients, verdicts.")] = False,
    values: Annotated[Optional[Path], typer.Option(help="Leaf values: .npz, or JSON {name: list}.")] = None,  # noqa: UP045
    budget: Annotated[float, typer.Option(help="Seconds for the checks.")] = 30.0,
    unfold: Annotated[bool, typer.Option("--unfold", help="Draw all of the parts that repeat.")] = False,
    plugin: Plugin = None,
) -> None:
    """Draw the graph in FILE: green leaves, yellow inner values, grey constants. Exit status 2 if FILE is wrong."""
    try:
        format_ = form or (FORMATS.get(output.suffix, output.suffix) if output is not None else "dot")
        if format_ not in FORMATS.values():
            raise ValueError(f"there is no format {format_!r}; there are {', '.join(FORMATS.values())}")
        request = read_request(file, values)
        if run:
            picture = run_and_draw(request, target, plugin, budget)
        else:
            picture = draw_graph(request.input.graph, named_values(request))
        text = str(getattr(picture.unfold() if unfold else picture, format_)())
        if output is not None:
            output.write_text(text, encoding="utf-8")
        else:
            typer.echo(text, nl=False)
    except FAULTS as error:
        raise refused("draw", target.explain(error), 2) from error


def listed(client: Client, names: Collection[str] | None) -> list[OpInfo]:
    """The ops of the server with these names, or all."""
    return [op for op in client.ops(verdicts=True) if not names or op.name in names]


@app.command("ops")
@with_target()
def list_ops(
    target: Target,
    names: Annotated[Optional[list[str]], typer.Argument(metavar="[OP]...", help="Names of ops.")] = None,  # noqa: UP045
    verdicts: Annotated[bool, typer.Option("--verdicts", help="Prove every rule that is not proved yet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    plugin: Plugin = None,
) -> None:
    """List the ops and the kernels in use; with --verdicts, with the verdicts on rules. Exit status 1 if a rule is refuted.

    With names: the page of each op, with the verdicts that are known.
    """
    try:
        with target.client(plugin) as client:
            ops = listed(client, names)
            if verdicts:
                prove_all(client, [op.name for op in ops if op.differentiable])
                ops = listed(client, names)
            pages = [client.op(name, page=True) for name in names or ()]
            kernels = [kernel for kernel in client.info().kernels if not names or kernel.op in names]
    except FAULTS as error:
        raise refused("ops", target.explain(error), 2) from error
    if pages and not as_json:
        for page in pages:
            report.print_op(console, page)
    elif as_json:
        print(json.dumps(report.ops_as_json(ops), indent=2))
    else:
        console.print(report.op_table(ops, verdicts=verdicts))
    if kernels and not as_json:
        console.print(report.kernel_table(kernels))
    if verdicts and any(op.verdict and op.verdict.word == "REFUTED" for op in ops):
        raise typer.Exit(1)


@app.command()
@with_target()
def verify(
    target: Target,
    ops: Annotated[Optional[list[str]], typer.Argument(metavar="[OP]...", help="Names of ops.")] = None,  # noqa: UP045
    refresh: Annotated[bool, typer.Option(help="Prove again, also if a proof is cached or shipped.")] = False,
    budget: Annotated[float, typer.Option(help="Seconds for all cases of an op.")] = 120.0,
    evidence: Annotated[bool, typer.Option(help="Print every obligation, with the tactic that discharged it.")] = False,
    plugin: Plugin = None,
) -> None:
    """Prove the backward rules of ops, case by case; exit status 1 if a case is not proved.

    Without names: the rules of all ops of all installed plugins, which fills the proof cache; exit status 1 if a rule is
    refuted.
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
    except FAULTS as error:
        raise refused("verify", target.explain(error), 2) from error
    if bad:
        raise typer.Exit(1)


def verify_one(client: Client, op: str, budget: float, refresh: bool, evidence: bool) -> Iterator[ProofStep]:
    """Prove the cases of an op, and print each result as it arrives."""
    for step in client.verify_op(op, budget=budget, refresh=refresh):
        report.print_case(console, step.verdict, step.cases_done, step.cases_total, evidence=evidence)
        yield step


def named_values(request: pb.DifferentiateRequest) -> dict[str, np.ndarray]:
    """The leaf values of a request, by name."""
    return {named.name: decode_tensor(named.value) for named in request.input.values}


def run_and_draw(request: pb.DifferentiateRequest, target: Target, plugins: list[str] | None, budget: float) -> Picture:
    """Run a request, and draw it with all values and gradients."""
    with target.client(plugins) as client:
        ops = {op.name: op for op in client.ops()}
        differentiable = flowing(request.input.graph, ops)
        specs = client.infer(request.input.graph).specs
        requested = {*request.gradients, *request.retain}
        request.retain.extend(n for n in sorted(differentiable - requested) if n in specs and specs[n][0].kind not in "biu")
        fetched, nodes = set(request.input.fetch), request.input.graph.nodes
        request.input.fetch.extend(name for node in nodes for name in node.outputs if name not in fetched)
        result = client.send(request, budget=budget)
    return draw_graph(request.input.graph, named_values(request), result, ops)


def prove_all(client: Client, names: list[str], budget: float = 120.0, refresh: bool = False) -> list[ProofStep]:
    """Prove the rules of the ops ``names``, with a progress bar."""
    steps: list[ProofStep] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("proving", total=len(names))
        for name in names:
            progress.update(bar, description=f"proving {name}")
            steps.extend(client.verify_op(name, budget=budget, refresh=refresh))
            progress.advance(bar)
    return steps


def summary_word(text: str) -> verdict_pb2.SummaryWord.ValueType:
    """The summary named ``text``. Raises ValueError for other texts."""
    if text not in ("verified", "plausible", "unchecked"):
        raise ValueError(f"--required is {text!r}; it may be verified, plausible, unchecked")
    return verdict_pb2.SummaryWord.Value(f"SUMMARY_WORD_{text.upper()}")


def read_json(file: Path) -> Any:
    """What a JSON file says. Raises ValueError, which names the file, for text that is no JSON; OSError."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def read_request(file: Path, values: Path | None) -> pb.DifferentiateRequest:
    """Read a request in proto JSON: a DifferentiateRequest, or a Graph alone. Raises ValueError or OSError."""
    text = read_json(file)
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
        arrays = {name: np.asarray(value) for name, value in read_json(values).items()}
    for name, array in arrays.items():
        if name in dtypes and dtypes[name].dtype:
            array = array.astype(decode_spec(dtypes[name])[1])
        request.input.values.add(name=name, value=encode_tensor(array))
    return request
