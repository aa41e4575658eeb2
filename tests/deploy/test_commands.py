"""Commands and settings that deploy/ and docs/cluster.md name are those of this version."""

from pathlib import Path

import pytest
from tests.architecture.sources import REPOSITORY
from tests.deploy.reading import (
    DEPLOY,
    SETTING,
    find_fault,
    list_containers,
    list_lines,
    list_pods,
    list_settings,
    list_spans,
    list_texts,
    load_one,
)

PAGE = REPOSITORY / "docs" / "cluster.md"
TEXTS = [pytest.param(path, id=path.relative_to(REPOSITORY).as_posix()) for path in list_texts()]


@pytest.mark.parametrize("path", TEXTS)
def test_every_setting_that_is_written_down_exists(path: Path):
    assert set(SETTING.findall(path.read_text("utf-8"))) - list_settings() == set()


@pytest.mark.parametrize("path", TEXTS)
def test_every_command_that_is_written_down_exists(path: Path):
    text = path.read_text("utf-8")
    assert [fault for args in list_spans(text) if (fault := find_fault(args, is_name=True))] == []
    assert [fault for args in list_lines(text) if (fault := find_fault(args))] == []


def test_containers_begin_with_commands_that_exist():
    services = load_one(DEPLOY / "compose.yaml")["services"]
    commands = [service["command"] for service in services.values() if service["image"].startswith("flowforge:")]
    commands += [container["args"] for _, pod in list_pods() for container in list_containers(pod)]
    assert len(commands) == 13
    assert [fault for args in commands if (fault := find_fault(args))] == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["wroker"], "there is no command wroker"),
        (["worker", "--queue"], "--queue"),
        (["db"], "a command is missing"),
        (["db", "upgrade", "now"], "now"),
    ],
)
def test_command_that_does_not_exist_is_found(args: list[str], said: str):
    assert said in (find_fault(args) or "")


def test_commands_of_a_block_are_found_with_what_stands_around_them():
    block = "```sh\nFLOWFORGE_DATABASE_URL=x:// flowforge db \\\n  upgrade && flowforge doctor > out  # looks\nkubectl get pods\n```\n"
    assert list(list_lines(block)) == [["db", "upgrade"], ["doctor"]]


def test_page_of_the_cluster_names_every_role():
    text = PAGE.read_text("utf-8")
    assert {args[0] for args in list_lines(text)} >= {
        "db",
        "serve",
        "worker",
        "scheduler",
        "run",
        "queues",
        "workers",
        "backup",
        "restore",
    }
