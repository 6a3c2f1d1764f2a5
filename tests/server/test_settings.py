"""Settings: where they come from, what is printed of them, and that all that is wrong is said at once, in our words."""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from gradproof.server.commands.cli import app
from gradproof.server.configuration.configuration import Configuration, configure, help_text
from gradproof.server.configuration.settings import Settings
from gradproof.server.limits import Limits
from gradproof.server.problems import ConfigurationError
from gradproof.server.supervision.supervisor import GRACE_SECONDS, _owner

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of the environment that the tests run in, and the log as before."""
    for name in ("PLANS", "SHIPPED_PROOFS"):
        monkeypatch.delenv(f"GRADPROOF_{name}", raising=False)
    yield
    structlog.reset_defaults()


def serve(*words: str) -> Result:
    return CliRunner().invoke(app, ["serve", *words])


def configured(*words: str, config: str | None = None, **variables: str) -> Configuration:
    return configure(words, config, {f"GRADPROOF_{name}": value for name, value in variables.items()})


def wrong(found: Configuration) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        found.check()
    return str(caught.value).splitlines()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gradproof.toml"
    path.write_text('port = 4\ngrace = 3.5\nblock = ["sums"]\n[limits]\nhooks = 3\nsaved_runs = 3\n')
    return path


class TestSources:
    def test_flags_are_stronger_than_variables_and_these_than_the_file(self, file: Path) -> None:
        found = configured("--port", "2", config=str(file), PORT="3", LIMITS__HOOKS="2", GRACE="4")
        settings = found.settings
        assert (settings.port, settings.limits.hooks, settings.limits.saved_runs, settings.grace) == (2, 2, 3, 4.0)
        assert settings.block == ["sums"]
        assert settings.proof_workers == 2
        assert {name: found.origins[name] for name in ("port", "limits.hooks", "limits.saved_runs")} == {
            "port": "--port",
            "limits.hooks": "GRADPROOF_LIMITS__HOOKS",
            "limits.saved_runs": str(file),
        }
        assert "host" not in found.origins

    def test_a_variable_names_the_file(self, file: Path) -> None:
        assert configured(CONFIG=str(file)).settings.port == 4

    def test_lists_and_switches(self) -> None:
        settings = configured(
            "--plugin", "a", "--plugin", "b:c", "--no-reflection", BLOCK="x, y", ENTRY_POINTS="no"
        ).settings
        assert settings.plugin == ["a", "b:c"]
        assert settings.block == ["x", "y"]
        assert not settings.reflection
        assert not settings.entry_points

    def test_an_embedded_server_talks_to_its_owner_alone(self, file: Path) -> None:
        """What the environment says of networks and callers is said of other servers."""
        found = configured("--owner", "1", config=str(file), HOST="0.0.0.0", TLS_CERT="c", TOKEN_FILE="t", THREADS="1")
        settings = found.settings
        assert (settings.host, settings.tls_cert, settings.token_file, settings.threads) == ("127.0.0.1", None, None, 1)
        assert settings.limits.hooks == 3

    def test_what_kubernetes_sets_beside_a_service_of_our_name_is_not_ours(self) -> None:
        found = configured(
            PORT="tcp://10.0.0.1:50551",
            SERVICE_HOST="10.0.0.1",
            SERVICE_PORT="50551",
            SERVICE_PORT_GRPC="50551",
            PORT_50551_TCP="tcp://10.0.0.1:50551",
            PORT_50551_TCP_ADDR="10.0.0.1",
        )
        assert found.problems == []
        assert found.settings.port == 50551

    def test_no_module_reads_the_environment_by_itself(self) -> None:
        """Except the command line, for all settings, and modules that read variables of gRPC, systemd and OpenTelemetry."""
        found = {
            path.name
            for folder in ("engine", "server", "plugins")
            for path in (ROOT / folder / "gradproof").rglob("*.py")
            if re.search(r"os\.(environ|getenv)", path.read_text())
        }
        assert found == {
            "__main__.py",
            "configuration.py",
            "service_manager.py",
            "tracing.py",
        }


class TestFaults:
    def test_all_are_said_at_once_with_their_places(self, tmp_path: Path) -> None:
        path = tmp_path / "gradproof.toml"
        path.write_text('thread = 1\nproof_seconds = "long"\n[limits]\nhook = 3\nhooks = -1\n')
        found = configured(
            *["--port", "70000", "--prot", "3", "--host", "0.0.0.0"],
            *["--plugin", "no.such.plugin", "--block", "reductionz", "--proof-workers", "0"],
            config=str(path),
            THRAEDS="3",
            ENTRY_POINTS="perhaps",
            PLANS="sometimes",
        )
        lines = wrong(found)
        for start, text in (
            ("--port: is '70000'; it must be 65535 or less", ""),
            ("--prot: there is no such flag; did you mean '--port'?", ""),
            ("--proof-workers: is '0'; it must be 1 or more", ""),
            ("--host: is '0.0.0.0', which other machines reach, and there is no TLS", "or insecure"),
            ("--plugin: 'no.such.plugin' cannot be imported (ModuleNotFoundError: ", "give module or module:attribute"),
            ("--block: there is no plugin 'reductionz' to leave out; did you mean 'reductions'?", ""),
            ("GRADPROOF_THRAEDS: there is no such setting; did you mean 'GRADPROOF_THREADS'?", ""),
            ("GRADPROOF_ENTRY_POINTS: is 'perhaps'; it must be true or false", ""),
            ("GRADPROOF_PLANS: is 'sometimes'; it must be 'auto', 'always' or 'never'", ""),
            (f"thread in {path}: there is no such setting; did you mean 'threads'?", ""),
            (f"proof_seconds in {path}: is 'long'; it must be a number", ""),
            (f"limits.hook in {path}: there is no such setting; did you mean 'limits.hooks'?", ""),
            (f"limits.hooks in {path}: is -1; it must be 0 or more", ""),
        ):
            assert [line for line in lines if line.startswith(start) and text in line], (start, lines)
        assert len(lines) == 13

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--port"], "--port: expected one argument"),
            (["--port", "x"], "--port: is 'x'; it must be a whole number"),
            (["--port", "-1"], "--port: "),
            (["--port", "1.5"], "it must be a whole number"),
            (["--grace", "nan"], "--grace: is 'nan'; it must be "),
            (["--grace", "inf"], "--grace: is 'inf'; it must be "),
            (["--proof-seconds", "0"], "--proof-seconds: is '0'; it must be more than 0"),
            (["50551"], "'50551': stands alone"),
            (["--reflection=maybe"], "--reflection"),
            (["--limits", "{"], ""),
            (["--plugin=--"], "a flag: has a value that cannot be read"),
            (["--host", ""], "--host: is ''"),
            (["--host", "10.0.0.0/8"], "--host: is '10.0.0.0/8'; it must be an address"),
            (["--host", "[::1]"], "--host: is '[::1]'; it must be an address"),
            (["--host", "127.0.0.1:80"], "it must be an address"),
            (["--host", "unix:relative"], "is no absolute path"),
            (["--host", "unix:/" + "x" * 120], "too long for a socket"),
            (["--host", "unix:/no/such/folder/socket"], "the folder of /no/such/folder/socket is not there"),
            (["--config", "/no/such/file"], "--config: /no/such/file cannot be read"),
            (["--config"], "--config: expected one argument"),
        ],
    )
    def test_what_is_wrong_ends_the_command(self, words: list[str], text: str) -> None:
        done = serve("--check-config", *words)
        assert done.exit_code == 1, done.output
        assert done.stderr.startswith("gradproof serve: ")
        assert text in done.stderr.replace("argument --", "--")
        for foreign in ("Traceback", "pydantic", "Input should", "validation error"):
            assert foreign not in done.output
        assert done.stdout == ""

    def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "gradproof.toml"
        path.write_text("port: 3")
        assert "is no TOML" in wrong(configured(config=str(path)))[0]
        path.write_bytes(b"\xff")
        assert "is no TOML" in wrong(configured(config=str(path)))[0]
        path.write_text("owner = 1")
        assert "there is no such setting" in wrong(configured(config=str(path)))[0]
        path.write_text("port = 3")
        path.chmod(0o666)
        assert "may be changed by others" in wrong(configured(config=str(path)))[0]

    def test_a_list_that_holds_no_names(self, tmp_path: Path) -> None:
        path = tmp_path / "gradproof.toml"
        path.write_text("plugin = [1]\nreflection = 7\nhost = 3\nlimits = 3\n")
        lines = wrong(configured(config=str(path)))
        assert len(lines) == 4, lines
        assert not [line for line in lines if "Input" in line]


NAMES = st.sampled_from(
    [*Settings.model_fields, *(f"limits.{name}" for name in Limits.model_fields), "x", "x.y", "", "limits."]
)
VALUES = st.sampled_from(["", "0", "-1", "nan", "true", "{", "[1]", '{"hooks": 3}', "\0", "a,b", "--", "=", "9" * 400])
TOML = st.sampled_from(["1", "-1", "nan", "true", '"x"', "[1]", "[[]]", "{a = 1}", "1979-05-27", "{}", '["a"]'])


@pytest.mark.slow
@given(
    st.lists(st.tuples(NAMES, VALUES, st.sampled_from(["{} {}", "{}={}", "{}", "{1}"])), max_size=4),
    st.lists(st.tuples(NAMES, VALUES), max_size=3),
    st.dictionaries(st.sampled_from([*Settings.model_fields, "x"]), TOML, max_size=3),
)
def test_whatever_is_set_is_settings_and_problems(words: Any, variables: Any, lines: Any) -> None:
    """Never an exception, and never a sentence of a library."""
    flags = [one for name, value, form in words for one in form.format(f"--{name.replace('_', '-')}", value).split(" ")]
    environment = {f"GRADPROOF_{name.replace('.', '__').upper()}": value for name, value in variables}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gradproof.toml"
        path.write_text("\n".join(f"{name} = {value}" for name, value in lines.items()))
        found = configure(flags, str(path), environment)
    assert tomllib.loads(found.text())["host"] == found.settings.host
    said = str(ConfigurationError(found.problems, found.origins))
    assert not re.search("Input should|pydantic|validation error", said), said
    assert isinstance(_owner(flags), int | None)


class TestPrinted:
    def test_what_is_printed_is_read_again(self, file: Path, tmp_path: Path) -> None:
        done = serve("--print-config", "--config", str(file), "--plugin", 'a"b\\', "--cache", "/tmp/ä")
        assert done.exit_code == 0, done.output
        assert f"port = 4  # {file}" in done.stdout
        assert "threads = 2  # default" in done.stdout
        assert "# tls_cert is not set  # default" in done.stdout
        again = tmp_path / "again.toml"
        again.write_text(done.stdout, encoding="utf-8")
        first = configured("--plugin", 'a"b\\', "--cache", "/tmp/ä", config=str(file)).settings
        assert configured(config=str(again)).settings == first
        assert tomllib.loads(done.stdout)["limits"] == first.limits.table()

    def test_secrets_are_paths(self, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("a-token-that-nobody-should-see")
        token.chmod(0o600)
        done = serve("--print-config", "--token-file", str(token))
        assert f'token_file = "{token}"  # --token-file' in done.stdout
        assert "nobody-should-see" not in done.output

    def test_what_is_wrong_is_not_printed(self) -> None:
        done = serve("--print-config", "--port", "x")
        assert (done.exit_code, done.stdout) == (1, "")

    def test_a_good_configuration(self, tmp_path: Path) -> None:
        done = serve("--check-config", "--cache", str(tmp_path), "--no-entry-points")
        assert done.exit_code == 0, done.output
        assert "would start" in done.stdout

    def test_a_plugin_that_a_server_would_go_on_without(self) -> None:
        done = serve("--check-config", "--plugin", "json", "--no-entry-points")
        assert done.exit_code == 0
        assert "would start without a plugin: plugin 'json' refused" in done.stderr

    def test_help_names_every_setting(self) -> None:
        text = " ".join(serve("--help").stdout.split())
        assert text == " ".join(help_text().split())
        for name in Settings.model_fields.keys() - {"owner", "limits"}:
            assert f"--{name.replace('_', '-')}" in text
        for name, limit in Limits.model_fields.items():
            assert f"--limits.{name.replace('_', '-')} N {limit.description}" in text
        assert "--owner" not in text
        for title in ("Network:", "Encryption and callers:", "Plugins:", "Proofs:", "Runs:"):
            assert title in text


class TestGraceTime:
    @pytest.mark.parametrize(
        ("words", "variables", "grace"),
        [
            ([], {}, GRACE_SECONDS),
            (["--grace", "7"], {"GRACE": "8"}, 7.0),
            ([], {"GRACE": "8"}, 8.0),
            (["--grace=0"], {}, 0.0),
            (["--config", "FILE"], {}, 3.5),
            ([], {"CONFIG": "FILE"}, 3.5),
        ],
    )
    def test_it_comes_from_flag_variable_or_file(
        self, words: list[str], variables: dict[str, str], grace: float, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        words = [word.replace("FILE", str(file)) for word in words]
        for name, value in variables.items():
            monkeypatch.setenv(f"GRADPROOF_{name}", value.replace("FILE", str(file)))
        config = words[words.index("--config") + 1] if "--config" in words else None
        configuration = configure([word for word in words if "--config" not in words], config)
        assert configuration.problems == []
        assert configuration.settings.grace == grace

    @pytest.mark.parametrize("words", [["--grace", "inf"], ["--grace", "x"], ["--grace", "-1"], ["--grace"]])
    def test_a_wrong_one_is_a_problem_and_left_out(self, words: list[str]) -> None:
        configuration = configure(words)
        assert [problem.setting for problem in configuration.problems] == ["--grace" if len(words) == 1 else "grace"]
        assert configuration.settings.grace == GRACE_SECONDS


def test_a_new_token_is_printed_once() -> None:
    done = CliRunner().invoke(app, ["token", "new", "alice", "--scope", "evaluate", "--runs", "4", "--share", "0.5"])
    assert done.exit_code == 0, done.output
    token = done.stderr.splitlines()[-1]
    entry = tomllib.loads(done.stdout)["callers"]["alice"]
    assert len(token) > 40
    assert token not in done.stdout
    assert (entry["scopes"], entry["runs"], entry["share"], len(entry["sha256"])) == (["evaluate"], 4, 0.5, 64)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["a b"], "it may have up to 64"),
        (["a", "--scope", "root"], "there is no scope 'root'; there are evaluate, verify, admin"),
        (["a", "--runs", "0"], "runs is 0; it must be a whole number, 1 or more"),
        (["a", "--share", "2"], "share is 2.0; it must be above 0 and at most 1"),
        (["a", "--share", "nan"], "share is nan"),
    ],
)
def test_no_token_is_made_of_nonsense(words: list[str], text: str) -> None:
    done = CliRunner().invoke(app, ["token", "new", *words])
    assert (done.exit_code, done.stdout) == (1, "")
    assert text in done.stderr


def test_the_table_of_settings_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `--([\w-]+)` \| (?:none|`(.*?)`) \| (.*) \|$", page, re.MULTILINE)
    told = {
        name.replace("-", "_"): (tomllib.loads(f"x = {default}")["x"] if default else None, text)
        for name, default, text in rows
    }
    fields = {name: field for name, field in Settings.model_fields.items() if name not in ("limits", "owner")}
    assert told == {name: (field.default, field.description) for name, field in fields.items()}
