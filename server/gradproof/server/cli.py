"""The command line: serve, demo, diff, ops, verify."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Optional

import structlog
import typer
from gradproof.server.embedded import READY
from gradproof.server.host import Host, Options, serve

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Gradients over gRPC, each with a verdict: the rule proved, the number enclosed, the sum right.",
)

Plugin = Annotated[
    Optional[list[str]],  # noqa: UP007, UP045 - typer reads this annotation
    typer.Option("--plugin", help="Load this plugin too: an import path, module or module:attribute. Repeatable."),
]


@app.callback()
def _root() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@app.command("serve")
def serve_command(
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.")] = 50551,
    plugin: Plugin = None,
    block: Annotated[Optional[list[str]], typer.Option(help="Leave out this plugin. Repeatable.")] = None,  # noqa: UP007, UP045
    cache: Annotated[Optional[Path], typer.Option(help="Where proofs are kept.")] = None,  # noqa: UP007, UP045
    proof_workers: Annotated[int, typer.Option(help="Processes that prove rules.")] = 1,
    proof_seconds: Annotated[float, typer.Option(help="A proof is stopped after this time.")] = 30.0,
    reflection: Annotated[bool, typer.Option(help="Describe the services to clients that ask.")] = True,
    with_stdin: Annotated[bool, typer.Option(hidden=True, help="End when standard input does.")] = False,
) -> None:
    """Serve until SIGTERM; running calls may then finish."""
    options = Options(
        host=host,
        port=port,
        plugins=plugin or (),
        blocked=block or (),
        cache=cache,
        proof_workers=proof_workers,
        proof_seconds=proof_seconds,
        reflection=reflection,
    )

    def announce(running: Host) -> None:
        print(f"{READY}{host}:{running.port}", flush=True)

    async def run() -> None:
        stop = asyncio.Event()
        if with_stdin:
            asyncio.get_running_loop().add_reader(sys.stdin, lambda: stop.set() if not sys.stdin.read(1) else None)
        await serve(options, announce, stop)

    try:
        asyncio.run(run())
    except OSError as error:
        typer.echo(f"gradproof serve: {error}", err=True)
        raise typer.Exit(1) from error
