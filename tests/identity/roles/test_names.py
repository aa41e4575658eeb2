"""Texts that name things, from whoever comes: nothing breaks, and nothing but what was meant is found."""

from pathlib import Path

import pytest
from tests.identity.roles.conftest import ROUTERS, KnownProjects
from tests.support.databases import Kind
from tests.support.people import enter
from tests.support.sessions import KINDS
from tests.support.web_lab import open_web_lab

from flowforge.identity.places import ProjectPlaces

PATHS = (
    "groups/%00",
    "groups/%ed%a0%80",
    "groups/%ff",
    "groups/' or 1=1 --",
    f"groups/{'a' * 5_000}",
    "workspaces/a%00",
    "roles/%00",
    "groups?q=%00",
    "workspaces?q=%00%25",
    "roles?q=%00",
    "groups?q=%25_%27%22);--",
    "role-assignments?principal=%00",
    "role-assignments?role=%00",
    "role-assignments?scope=project:prj_00",
    "groups?cursor=AAAA",
    "access/explain?user=%00&permission=%00",
)


@pytest.mark.parametrize("kind", KINDS)
async def test_a12_strange_names_are_refused_or_find_nothing(kind: Kind, tmp_path: Path):
    async with open_web_lab(tmp_path, ROUTERS, kind=kind, ports={ProjectPlaces: KnownProjects()}) as lab:
        await enter(lab, "owner")
        for path in PATHS:
            answer = await lab.client.get(f"/api/v1/{path}")
            assert answer.status_code in {404, 422} or answer.json()["data"] == [], f"{path}: {answer.text}"
