"""Writes a page for each built-in op, and their index, below docs/ops: ``make pages``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gradproof.engine.notation.op_page import op_page
from gradproof.engine.registry import Registry, build_registry
from gradproof.plugins import BUILTIN

FOLDER = Path(__file__).parents[1] / "ops"
HEAD = """# Ops

A page for each built-in op: its signature, definition, rule, domain, convention at ties, and an example. The pages are
generated from the declarations that run (`make pages`), and the tests run the examples. `gradproof ops NAME` prints the
same page, also for ops of plugins, with the verdicts that are known. [rules.md](../rules.md) has all rules on one page,
with their proofs.
"""


def pages(registry: Registry) -> Iterator[tuple[str, str]]:
    """The name of each file below docs/ops, and its text."""
    sections = [HEAD]
    for plugin in registry.plugins:
        rows = [f"- [`{op.name}`]({op.name}.md): {op.doc}" for op in plugin.ops]
        if rows:
            sections.append(f"## {plugin.name.title()}\n\n" + "\n".join(rows) + "\n")
    yield "README.md", "\n".join(sections)
    for op in registry.ops.values():
        yield f"{op.name}.md", op_page(registry, op)


def main() -> None:
    """Write the pages, and remove those of ops that are gone."""
    FOLDER.mkdir(exist_ok=True)
    written = dict(pages(build_registry(BUILTIN)))
    for path in FOLDER.glob("*.md"):
        if path.name not in written:
            path.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
