"""deploy/compose.yaml, by the rules that a cluster on one machine is run by. No container engine is needed to read it."""

import re
from typing import Any

import pytest
from tests.deploy.reading import DEPLOY, load_one

from flowforge.kit.units import parse_duration

COMPOSE = load_one(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("flowforge:")}
STAYING = {name: service for name, service in SERVICES.items() if name != "migrate"}
TOP_LEVEL = {"name", "services", "volumes", "networks", "secrets"}
OF_A_SERVICE = {
    *(
        "build",
        "cap_drop",
        "command",
        "depends_on",
        "deploy",
        "environment",
        "healthcheck",
        "image",
        "init",
        "logging",
        "networks",
        "ports",
    ),
    *(
        "read_only",
        "restart",
        "secrets",
        "security_opt",
        "shm_size",
        "stop_grace_period",
        "tmpfs",
        "user",
        "volumes",
        "working_dir",
    ),
}
"""The keys of the Compose specification that the file uses: a mistyped one is found here."""


def test_only_keys_of_the_specification_are_used():
    assert {key for key in COMPOSE if not key.startswith("x-")} == TOP_LEVEL
    assert {key for service in SERVICES.values() for key in service} <= OF_A_SERVICE


def test_roles_are_there():
    assert set(SERVICES) == {"postgres", "redis", "migrate", "server", "worker", "scheduler"}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_no_more_rights_than_it_needs(name: str):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)
    assert service.get("ports", []) == (["127.0.0.1:8000:8080"] if name == "server" else [])
    assert "/tmp" in {str(entry).partition(":")[0] for entry in service["tmpfs"]}


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_pinned(name: str):
    assert re.fullmatch(r"[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_bounded_and_its_logs_are(name: str):
    service = SERVICES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", STAYING)
def test_service_is_watched_and_started_again(name: str):
    service = STAYING[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "start_period", "retries"} <= set(service["healthcheck"])


@pytest.mark.parametrize("name", sorted(set(OURS) - {"migrate"}))
def test_role_asks_its_own_ready_page_and_gets_time_to_end(name: str):
    service = OURS[name]
    assert service["healthcheck"]["test"] == ["CMD", "python", "/opt/flowforge/healthcheck.py", "/ready"]
    assert parse_duration(service["stop_grace_period"]) > parse_duration(service["environment"]["FLOWFORGE_SHUTDOWN_GRACE"])


@pytest.mark.parametrize("name", OURS)
def test_role_waits_for_what_it_needs(name: str):
    needs = OURS[name]["depends_on"]
    assert needs["postgres"] == {"condition": "service_healthy"}
    if name != "migrate":
        assert needs["migrate"] == {"condition": "service_completed_successfully"}
    assert set(needs) <= set(SERVICES)


def test_server_has_what_it_does_not_start_without_and_answers_where_it_is_asked():
    server = SERVICES["server"]
    given = {name.removesuffix("_FILE") for name in server["environment"]}
    assert given >= {f"FLOWFORGE_{name}" for name in ("PUBLIC_URL", "DATABASE_URL", "ENCRYPTION_KEY", "SIGNING_KEY")}
    (port,) = {entry.rpartition(":")[2] for entry in server["ports"]}
    assert server["command"] == ["serve", "--port", port]
    assert f"FLOWFORGE_HEALTH_PORT={port}" in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_secrets_are_files_and_stand_nowhere_else():
    declared = set(COMPOSE["secrets"])
    for name, service in SERVICES.items():
        assert set(service.get("secrets", [])) <= declared, name
        for key, value in service.get("environment", {}).items():
            is_secret = any(word in key for word in ("PASSWORD", "KEY", "DATABASE_URL"))
            assert not is_secret or value.startswith("/run/secrets/"), key
            assert not value.startswith("/run/secrets/") or value.removeprefix("/run/secrets/") in service["secrets"], key
    assert all(secret["file"].startswith("./secrets/") for secret in COMPOSE["secrets"].values())
    assert "secrets/" in (DEPLOY / ".gitignore").read_text("utf-8").splitlines()


def test_volumes_and_networks_are_declared():
    for name, service in SERVICES.items():
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"]), name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name


def test_database_and_broker_are_reached_from_the_inside_only():
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["inside"]


def test_files_lie_where_all_workers_see_them():
    environment = SERVICES["worker"]["environment"]
    assert SERVICES["worker"]["volumes"] == ["shared:/shared"]
    assert environment["FLOWFORGE_OBJECT_STORE_URL"].startswith("file:///shared/")
    assert environment["FLOWFORGE_FILE_ROOTS"].partition("=")[2].startswith("/shared/")
    made = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert "/shared/files" in made
    assert "/shared/work" in made
