"""The files that servers are deployed with: they ask for options that exist, and fit each other."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import pytest
import yaml

from gradproof.server.commands import target as of_commands
from gradproof.server.configuration.settings import Settings
from gradproof.server.problems import CLIENT, PREFIX

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "server" / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OPTIONS = {f"--{name.replace('_', '-')}" for name in Settings.model_fields}
FILES = [ROOT / "Dockerfile", *sorted(DEPLOY.glob("*.*")), ROOT / "docs" / "operations.md"]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile, a line an instruction."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)
    text = re.sub(r"\\\n", " ", text)
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def last(name: str) -> str:
    return [rest for word, rest in instructions() if word == name][-1]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_options_and_variables_of_the_server_exist(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    served = re.findall(r"gradproof serve((?: +[^\s`]+| *\\\n)*)", text)
    words = re.findall(r'(?:^|[\s"`])(--[a-z][\w-]*)(?=[=\s"`])', " ".join(served))
    if file.suffix == ".yaml" or file.name == "Dockerfile":
        words += re.findall(r'"(--[a-z][\w-]*)=', text)
    assert set(words) <= OPTIONS
    variables = set(re.findall(r"GRADPROOF_[A-Z]+(?:_[A-Z]+)*\b(?!__)", text))
    ours = {name for name in variables if name.startswith(CLIENT)}
    assert {f"--{name.removeprefix(PREFIX).lower().replace('_', '-')}" for name in variables - ours} <= OPTIONS
    assert ours <= {CLIENT + name.upper() for name in of_commands.OPTIONS}


def test_the_image_runs_as_nobody_in_particular_and_takes_signals() -> None:
    names = {word for word, _ in instructions()}
    assert names <= {
        "FROM",
        "WORKDIR",
        "RUN",
        "COPY",
        "ENV",
        "USER",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    assert [rest.split()[1:] for word, rest in instructions() if word == "FROM"] == [["AS", "build"], []]
    user = last("USER").partition(":")[0]
    assert int(user) > 0
    assert f"--uid {user}" in DOCKERFILE
    assert json.loads(last("ENTRYPOINT")) == ["gradproof", "serve"]
    arguments = json.loads(last("CMD"))
    Settings(_cli_parse_args=arguments)
    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    compile(check[2], "HEALTHCHECK", "exec")
    port = next(word.partition("=")[2] for word in arguments if word.startswith("--metrics-port"))
    assert f":{port}/healthz" in check[2]
    assert {str(Settings().port), port} == set(last("EXPOSE").split())
    copied = {rest.split()[0] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")}
    assert all((ROOT / name).exists() for name in copied)


def test_the_unit_is_of_the_kind_that_notifies() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "gradproof.service", encoding="utf-8")
    service = unit["Service"]
    assert (service["Type"], service["KillMode"]) == ("notify", "mixed")
    assert float(service["WatchdogSec"]) > 1
    grace = re.search(r"--grace (\d+)", service["ExecStart"])
    assert grace
    assert float(service["TimeoutStopSec"]) > float(grace[1]) + 1


def test_the_manifests_wait_for_the_grace_time() -> None:
    _, deployment = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    settings = Settings(_cli_parse_args=[word for word in container["args"] if "/etc/" not in word])
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > settings.grace + 1 + pause
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": settings.port, "http": settings.metrics_port}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert {"/tmp", "/var/cache/gradproof"} < set(mounted)
    for word in container["args"]:
        path = word.partition("=")[2]
        assert not path.startswith("/") or any(path.startswith(place) for place in mounted)


def test_the_composition_has_what_its_files_name() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    server = compose["services"]["gradproof"]
    secrets = {word.rpartition("/")[2] for word in server["command"] if "/run/secrets/" in word}
    assert secrets == set(server["secrets"]) == set(compose["secrets"])
    for service in compose["services"].values():
        for volume in service["volumes"]:
            assert not volume.startswith("./") or (DEPLOY / volume.partition(":")[0]).exists()
    scraped = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"][0]
    assert f"--metrics-port={scraped['static_configs'][0]['targets'][0].partition(':')[2]}" in server["command"]
