"""Configuration: settings from flags, environment and a file, with where each comes from, and all that is wrong."""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import CliSettingsSource, EnvSettingsSource, SettingsError

from gradproof.engine.hints import did_you_mean
from gradproof.server.access.trusted_files import read_trusted, told
from gradproof.server.configuration.preflight import problems_of
from gradproof.server.configuration.settings import APART, Settings, section
from gradproof.server.limits import Limits
from gradproof.server.problems import CONFIG, PREFIX, Problem, Unusable

NOT_OURS = re.compile(
    r"GRADPROOF_(SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP).*|TEST_.*|CLIENT_(TLS|TLS_CA|TLS_CERT|TLS_KEY|TOKEN_FILE))"
)
"""Variables that Kubernetes sets in pods beside a service called gradproof, those of tests, and those of commands that talk
to a server."""

DEFAULT = "default"
Table = dict[str, Any]


@dataclass
class Configuration:
    """Settings, where each that is no default comes from, and what is wrong with those that were left out for it."""

    settings: Settings
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def check(self) -> None:
        """Raises Unusable with all that is wrong, also with the files and plugins that the settings name."""
        if found := [*self.problems, *problems_of(self.settings)]:
            raise Unusable(found, self.origins)

    def text(self) -> str:
        """The settings as TOML, each with where it comes from. Files are named, never shown."""
        flat = dict(_flat(self.settings.model_dump()))
        lines = ["# gradproof serve --config FILE reads this."]
        for table in ("", "limits"):
            lines += ["", f"[{table}]"] if table else []
            for name, value in flat.items():
                if name.rpartition(".")[0] == table and name != "owner":
                    said = f"{name.rpartition('.')[2]} = {_toml(value)}"
                    origin = f"  # {self.origins.get(name, DEFAULT)}"
                    lines.append(f"{said}{origin}" if value is not None else f"# {name} is not set{origin}")
        return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    """A parser of the flags that are no settings."""
    made = argparse.ArgumentParser(
        prog="gradproof serve",
        usage="gradproof serve [--config FILE] [--print-config | --check-config] [settings]",
        description="Serve until SIGTERM; running calls may then finish. A second SIGTERM ends it at once. SIGHUP reads "
        "certificates and tokens again.",
        epilog="Every setting is also an environment variable (--proof-workers is GRADPROOF_PROOF_WORKERS, --limits.hooks "
        "is GRADPROOF_LIMITS__HOOKS) and a key of the file (proof_workers; hooks in the table limits). Flags are stronger "
        "than variables, and these than the file.",
        allow_abbrev=False,
        exit_on_error=False,
        add_help=False,
    )
    made.add_argument("--help", action="store_true", help="Show this.")
    made.add_argument("--config", metavar="FILE", help=f"Read settings from this file (TOML); or {CONFIG}.")
    made.add_argument("--print-config", action="store_true", help="Print all settings, with where they come from, and end.")
    made.add_argument("--check-config", action="store_true", help="Check all that a start would, serve nothing, and end.")
    return made


def help_text() -> str:
    """The help of ``serve``, in sections."""
    made = parser()
    _source(made, [])
    return made.format_help()


def configure(
    words: Sequence[str], config: str | None = None, environment: Mapping[str, str] | None = None
) -> Configuration:
    """The settings of a server, from the flags ``words``, the environment (left out, that of this process), and the file
    ``config``."""
    variables = os.environ if environment is None else environment
    problems: list[Problem] = []
    path = config or variables.get(CONFIG)
    sources = [
        (_flags(words, problems), lambda name: f"--{name.replace('_', '-')}"),
        (_variables(variables, problems), lambda name: PREFIX + name.replace(".", "__").upper()),
        (_file(Path(path), problems) if path else {}, lambda name: str(path)),
    ]
    if "owner" in sources[0][0]:
        for table, _ in sources[1:]:
            for name in [name for name in table if section(name) in APART]:
                del table[name]
    merged: Table = {}
    origins: dict[str, str] = {}
    for table, named in reversed(sources):
        for name, value in _flat(table):
            if _known(name) and (name != "owner" or table is sources[0][0]):
                merged[name], origins[name] = value, named(name)
            else:
                names = list(_names(Settings.model_fields))
                problems.append(Problem(name, f"there is no such setting{did_you_mean(name.replace('-', '_'), names)}"))
                origins[name] = named(name)
    return _made(merged, origins, problems)


def _made(flat: Mapping[str, Any], origins: dict[str, str], problems: list[Problem]) -> Configuration:
    """The settings without those that are wrong, so that the rest can be checked too."""
    left = dict(flat)
    while True:
        try:
            return Configuration(Settings(**_deep(left)), origins, problems)
        except ValidationError as error:
            wrong = set()
            for one in error.errors():
                place = ".".join(map(str, one["loc"]))
                name = next(name for name in left if f"{place}.".startswith(f"{name}."))
                problems.append(Problem(name, _sentence(one)))
                wrong.add(name)
            left = {name: value for name, value in left.items() if name not in wrong}


def _sentence(error: Any) -> str:
    """A fault that pydantic found, in a sentence of ours."""
    given, context = error["input"], error.get("ctx", {})
    wanted = {
        "greater_than_equal": "{ge} or more",
        "greater_than": "more than {gt}",
        "less_than_equal": "{le} or less",
        "less_than": "less than {lt}",
        "int_parsing": "a whole number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "int_parsing_size": "a smaller number",
        "float_parsing": "a number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_parsing": "true or false",
        "bool_type": "true or false",
        "literal_error": "{expected}",
        "string_type": "a text",
        "path_type": "a path",
        "list_type": "a list of names",
    }.get(error["type"])
    return f"is {given!r}; it must be {wanted.format(**context)}" if wanted else f"is {given!r}: {error['msg']}"


# sources


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong, and leaves words that it does not know in ``unknown``."""

    unknown: Sequence[str] = ()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, self.unknown = self.parse_known_args(args, namespace)
        return found


def _source(made: argparse.ArgumentParser, words: Sequence[str]) -> CliSettingsSource[Any]:
    groups: dict[str, Any] = {}

    def add(at: Any, *names: str, **rest: Any) -> Any:
        name = rest["dest"]
        rest["metavar"] = {"Path": "FILE", "str": "TEXT", "list[str]": "NAME", "int": "N", "float": "N"}.get(
            rest.get("metavar", ""), rest.get("metavar", "")
        )
        if rest.get("action") is argparse.BooleanOptionalAction:
            del rest["metavar"]
        rest["help"] = rest["help"].replace(" (default: None)", "").replace(" (default: [])", "")
        if title := section(name):
            at = groups.get(title) or groups.setdefault(title, made.add_argument_group(title))
        return at.add_argument(*names, **rest)

    def group(at: Any, **_: Any) -> Any:
        return at

    return CliSettingsSource(
        Settings,
        cli_parse_args=list(words),
        root_parser=made,
        parse_args_method=lambda at, *args, **rest: at.parse_args(*args, **rest),
        add_argument_method=add,
        add_argument_group_method=group,
    )


def _flags(words: Sequence[str], problems: list[Problem]) -> Table:
    made = _Parser(prog="gradproof serve", allow_abbrev=False, exit_on_error=False, add_help=False)
    try:
        found = _source(made, words)()
    except argparse.ArgumentError as error:
        problems.append(Problem((error.argument_name or "a flag").partition("/")[0], f"{error.message}"))
        return {}
    except (SettingsError, TypeError) as error:  # the latter for a `--` that stands for a value
        problems.append(Problem("a flag", f"has a value that cannot be read: {error.__cause__ or error}"))
        return {}
    known = [f"--{name.replace('_', '-')}" for name in _names(Settings.model_fields)]
    for before, word in pairwise(("", *made.unknown)):
        flag = word.partition("=")[0]
        if word.startswith("-"):
            problems.append(Problem(flag, f"there is no such flag{did_you_mean(flag, known)}"))
        elif not before.startswith("-"):  # or it is what an unknown flag is to be
            problems.append(Problem(repr(word), "stands alone; a setting is --name VALUE"))
    return found


def _variables(variables: Mapping[str, str], problems: list[Problem]) -> Table:
    """Settings of the environment. Every variable that is named as ours is a setting."""
    known = {PREFIX + name.replace(".", "__").upper(): name for name in _names(Settings.model_fields)}
    found: Table = {}
    for variable, value in variables.items():
        if not variable.startswith(PREFIX) or variable == CONFIG or NOT_OURS.fullmatch(variable):
            continue
        if variable == f"{PREFIX}PORT" and "://" in value:  # of Kubernetes, beside a service called gradproof
            continue
        if variable in known and known[variable] not in ("limits", "owner"):
            found[variable] = value
        else:
            problems.append(Problem(variable, f"there is no such setting{did_you_mean(variable, known)}"))
    source = EnvSettingsSource(Settings, case_sensitive=False)
    source.env_vars = {name.lower(): value for name, value in found.items()}
    return source()


def _file(path: Path, problems: list[Problem]) -> Table:
    try:
        return tomllib.loads(read_trusted(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem("--config", f"{path} is no TOML: {error}"))
    except (OSError, ValueError) as error:
        problems.append(Problem("--config", told(error)))
    return {}


# tables


def _names(fields: Mapping[str, Any]) -> Iterator[str]:
    for name in fields:
        yield name
        if name == "limits":
            yield from (f"limits.{limit}" for limit in Limits.model_fields)


def _known(name: str) -> bool:
    return name != "limits" and name in set(_names(Settings.model_fields))


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _deep(flat: Mapping[str, Any]) -> Table:
    found: Table = {}
    for name, value in flat.items():
        at = found
        *tables, last = name.split(".")
        for table in tables:
            at = at.setdefault(table, {})
        at[last] = value
    return found


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
    return f'"{escaped}"'
