"""Tasks for workers that wait to be killed, or end by themselves."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class HeldOnce:
    """Held for ever by the first worker that is given it, which leaves a file; answered by the next."""

    path: Path

    def run(self, context: Any) -> None:
        if self.path.exists():
            context.answer(os.getpid())
            return
        self.path.write_text(str(os.getpid()))
        time.sleep(600)


@dataclass(frozen=True)
class Deadly:
    """Ends its worker, and says in a file how often."""

    path: Path

    def run(self, context: Any) -> None:
        with self.path.open("a") as file:
            file.write("x")
        os._exit(3)
