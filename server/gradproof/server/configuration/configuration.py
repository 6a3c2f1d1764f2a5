"""Configuration: settings from flags, environment and a file, with their origins and problems."""

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
from pydantic_core import ErrorDetails
from pydantic_settings import CliSettingsSource, EnvSettingsSource, SettingsError

from gradproof.engine.hints import did_you_mean
from gradproof.server.access.trusted_files import error_text, read_trusted
from gradproof.server.configuration.preflight import problems_of
from gradproof.server.configuration.settings import APART, Settings, section
from gradproof.server.limits import Limits
from gradproof.server.problems import CONFIG, PREFIX, ConfigurationError, Problem

FOREIGN = re.compile(
    r"GRADPROOF_(SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP).*|TEST_.*|CLIENT_(TLS|TLS_CA|TLS_CERT|TLS_KEY|TOKEN_FILE))"
)
"""Variables with the prefix of settings that are none: of Kubernetes, for a service called gradproof, of tests, and of
commands that connect to a server."""

DEFAULT = "default"
Table = dict[str, Any]


@dataclass
class Configuration:
    """Settings, the origins of those that are no defaults, and the problems of those that were left out."""

    settings: Settings
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def check(self) -> None:
        """Raise ConfigurationError with all problems, also those of files and plugins that the settings name."""
        if problems := [*self.problems, *problems_of(self.settings)]:
            raise ConfigurationError(problems, self.origins)

    def text(self) -> str:
        """The settings as TOML, with their origins as comments. Files are named, never shown."""
        flat = dict(_flat(self.settings.model_dump()))
        lines = ["# gradproof serve --config FILE reads this."]
        for table in ("", "limits"):
            lines += ["", f"[{table}]"] if table else []
            for name, value in flat.items():
                if name.rpartition(".")[0] == table and name != "owner":
                    line = f"{name.rpartition('.')[2]} = {_toml(value)}"
                    origin = f"  # {self.origins.get(name, DEFAULT)}"
                    lines.append(f"{line}{origin}" if value is not None else f"# {name} is not set{origin}")
        return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    """The parser of the flags that are no settings."""
    flags = argparse.ArgumentParser(
        prog="gradproof serve",
        usage="gradproof serve [--config FILE] [--print-config | --check-config] [settings]",
        description="Serve until SIGTERM; running calls may then finish. A second SIGTERM ends it at once. SIGHUP reloads "
        "certificates and tokens.",
        epilog="Every setting is also an environment variable (--proof-workers is GRADPROOF_PROOF_WORKERS, --limits.hooks "
        "is GRADPROOF_LIMITS__HOOKS) and a key of the file (proof_workers; hooks in the table limits). Flags override "
        "variables, and variables the file.",
        allow_abbrev=False,
        exit_on_error=False,
        add_help=False,
    )
    flags.add_argument("--help", action="store_true", help="Show this help.")
    flags.add_argument("--config", metavar="FILE", help=f"Read settings from this file (TOML); or {CONFIG}.")
    flags.add_argument("--print-config", action="store_true", help="Print all settings with their origins, and exit.")
    flags.add_argument("--check-config", action="store_true", help="Make all checks of a start, and exit without serving.")
    return flags


def help_text() -> str:
    """The help of ``serve``, in sections."""
    flags = parser()
    _source(flags, [])
    return flags.format_help()


def configure(
    words: Sequence[str], config: str | None = None, environment: Mapping[str, str] | None = None
) -> Configuration:
    """The configuration of a server from the flags ``words``, the variables ``environment`` (default: that of this
    process), and the file ``config`` (default: that of GRADPROOF_CONFIG)."""
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
    for table, origin in reversed(sources):
        for name, value in _flat(table):
            if _known(name) and (name != "owner" or table is sources[0][0]):
                merged[name], origins[name] = value, origin(name)
            else:
                names = list(_names(Settings.model_fields))
                problems.append(Problem(name, f"there is no such setting{did_you_mean(name.replace('-', '_'), names)}"))
                origins[name] = origin(name)
    return _validated(merged, origins, problems)


def _validated(flat: Mapping[str, Any], origins: dict[str, str], problems: list[Problem]) -> Configuration:
    """Validate the settings. Wrong ones are left out, so that the rest can be checked too."""
    valid = dict(flat)
    while True:
        try:
            return Configuration(Settings(**_nested(valid)), origins, problems)
        except ValidationError as error:
            wrong = set()
            for details in error.errors():
                place = ".".join(map(str, details["loc"]))
                name = next(name for name in valid if f"{place}.".startswith(f"{name}."))
                problems.append(Problem(name, _sentence(details)))
                wrong.add(name)
            valid = {name: value for name, value in valid.items() if name not in wrong}


EXPECTATIONS = {
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
    "enum": "{expected}",
    "literal_error": "{expected}",
    "string_type": "a text",
    "path_type": "a path",
    "list_type": "a list of names",
}
"""Texts for the error types of pydantic."""


def _sentence(details: ErrorDetails) -> str:
    """The text of an error of pydantic."""
    value, expectation = details["input"], EXPECTATIONS.get(details["type"])
    if expectation is None:
        return f"is {value!r}: {details['msg']}"
    return f"is {value!r}; it must be {expectation.format(**details.get('ctx', {}))}"


# sources


class _Parser(argparse.ArgumentParser):
    """A parser that raises errors, and keeps unknown words in ``unknown``."""

    unknown: Sequence[str] = ()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        flags, self.unknown = self.parse_known_args(args, namespace)
        return flags


def _source(root: argparse.ArgumentParser, words: Sequence[str]) -> CliSettingsSource[Any]:
    """The flags of all settings, added to the parser ``root`` in sections."""
    groups: dict[str, Any] = {}

    def add(section_parser: Any, *flags: str, **options: Any) -> Any:
        name = options["dest"]
        options["metavar"] = {"Path": "FILE", "str": "TEXT", "list[str]": "NAME", "int": "N", "float": "N"}.get(
            options.get("metavar", ""), options.get("metavar", "")
        )
        if options.get("action") is argparse.BooleanOptionalAction:
            del options["metavar"]
        options["help"] = options["help"].replace(" (default: None)", "").replace(" (default: [])", "")
        if title := section(name):
            section_parser = groups.get(title) or groups.setdefault(title, root.add_argument_group(title))
        return section_parser.add_argument(*flags, **options)

    def group(parent: Any, **_: Any) -> Any:
        return parent

    return CliSettingsSource(
        Settings,
        cli_parse_args=list(words),
        root_parser=root,
        parse_args_method=lambda parent, *args, **options: parent.parse_args(*args, **options),
        add_argument_method=add,
        add_argument_group_method=group,
    )


def _flags(words: Sequence[str], problems: list[Problem]) -> Table:
    flags = _Parser(prog="gradproof serve", allow_abbrev=False, exit_on_error=False, add_help=False)
    try:
        table: Table = _source(flags, words)()
    except argparse.ArgumentError as error:
        problems.append(Problem((error.argument_name or "a flag").partition("/")[0], f"{error.message}"))
        return {}
    except (SettingsError, TypeError) as error:  # TypeError for a `--` in place of a value
        problems.append(Problem("a flag", f"has a value that cannot be read: {error.__cause__ or error}"))
        return {}
    known = [f"--{name.replace('_', '-')}" for name in _names(Settings.model_fields)]
    for previous, word in pairwise(("", *flags.unknown)):
        flag = word.partition("=")[0]
        if word.startswith("-"):
            problems.append(Problem(flag, f"there is no such flag{did_you_mean(flag, known)}"))
        elif not previous.startswith("-"):  # otherwise the value of an unknown flag
            problems.append(Problem(repr(word), "stands alone; a setting is --name VALUE"))
    return table


def _variables(variables: Mapping[str, str], problems: list[Problem]) -> Table:
    """Settings of the environment. A variable with the prefix of settings that names none is a problem."""
    known = {PREFIX + name.replace(".", "__").upper(): name for name in _names(Settings.model_fields)}
    values: dict[str, str] = {}
    for variable, value in variables.items():
        if not variable.startswith(PREFIX) or variable == CONFIG or FOREIGN.fullmatch(variable):
            continue
        if variable == f"{PREFIX}PORT" and "://" in value:  # of Kubernetes, for a service called gradproof
            continue
        if variable in known and known[variable] not in ("limits", "owner"):
            values[variable] = value
        else:
            problems.append(Problem(variable, f"there is no such setting{did_you_mean(variable, known)}"))
    source = EnvSettingsSource(Settings, case_sensitive=False)
    source.env_vars = {name.lower(): value for name, value in values.items()}
    return source()


def _file(path: Path, problems: list[Problem]) -> Table:
    try:
        return tomllib.loads(read_trusted(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem("--config", f"{path} is no TOML: {error}"))
    except (OSError, ValueError) as error:
        problems.append(Problem("--config", error_text(error)))
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


def _nested(flat: Mapping[str, Any]) -> Table:
    root: Table = {}
    for name, value in flat.items():
        table = root
        *tables, key = name.split(".")
        for part in tables:
            table = table.setdefault(part, {})
        table[key] = value
    return root


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
    return f'"{escaped}"'
