"""The page of all modules, docs/modules.md, from the first sentences of the modules. Run by `make pages`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE_PATH = ROOT / "docs" / "modules.md"
TOPS = ("engine", "plugins", "server", "clients/python", "proto")
HEAD = """# Module by module

Every room of the house, from the engine up, with the noun that each module holds. The page is generated from the first
sentences of the modules (`make pages`), and a test compares the two. How the rooms fit together is in
[architecture.md](architecture.md).
"""


def page() -> str:
    """The text of the page."""
    return "\n".join([HEAD, *(section for top in TOPS for section in _sections(ROOT / top / "gradproof"))])


def _sections(top: Path) -> Iterator[str]:
    """A table for each folder that has modules."""
    for folder in sorted({path.parent for path in top.rglob("*.py")}):
        rows = [_row(path) for path in sorted(folder.glob("*.py")) if _is_written(path)]
        if rows:
            head = folder.relative_to(top.parent).as_posix() if folder == top else folder.relative_to(top).as_posix()
            face = folder / "__init__.py"
            about = f"{_sentence(face)}\n\n" if face.is_file() else ""
            yield f"## `{head}`\n\n{about}| module | |\n|---|---|\n" + "\n".join(rows) + "\n"


def _is_written(path: Path) -> bool:
    return path.name != "__init__.py" and "_pb2" not in path.name


def _row(path: Path) -> str:
    link = f"../{path.relative_to(ROOT).as_posix()}"
    return f"| [`{path.stem}`]({link}) | {_sentence(path)} |"


def _sentence(path: Path) -> str:
    """The first sentence of a module, without its end."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[\w)`][\w)`])\.(?:\s|$)", paragraph, maxsplit=1)[0]
    return sentence.replace("|", "\\|").replace("``", "`")


def main() -> None:
    """Write the page."""
    PAGE_PATH.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
