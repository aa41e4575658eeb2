"""What changes something on a data folder leaves the same row in the audit log as the API."""

from typing import cast

from tests.entrypoints.cli.conftest import Cli, WriteWorkflow

from flowforge.entrypoints.server.address import tell_address
from flowforge.kit.folder import open_data_folder
from flowforge.kit.values import JsonObject

STEPS = "steps: [{id: a, uses: flow.set, with: {values: {a: %d}}}]\n"


def test_secrets_and_variables(cli: Cli):
    cli.ok("secrets", "set", "TOKEN", "--host", "shop.example", stdin="s3cr3t")
    cli.ok("secrets", "delete", "TOKEN")
    cli.ok("variables", "set", "LIMIT", "1")
    cli.ok("variables", "set", "LIMIT", "2")
    cli.ok("variables", "delete", "LIMIT")
    assert cli("variables", "delete", "LIMIT").code == 4
    assert cli.list_audited() == [
        ("secret.set", "secret", "TOKEN", None, {"name": "TOKEN", "hosts": ["shop.example"], "version": 1}),
        ("secret.deleted", "secret", "TOKEN", {"name": "TOKEN"}, None),
        ("variable.set", "variable", "LIMIT", None, {"value": 1}),
        ("variable.set", "variable", "LIMIT", {"value": 1}, {"value": 2}),
        ("variable.deleted", "variable", "LIMIT", {"value": 2}, None),
    ]


def test_workflows(cli: Cli, write_workflow: WriteWorkflow):
    workflow_id = cli.ok("workflows", "push", write_workflow("order", STEPS % 1), "--publish", "--note", "first").rows[1][
        "workflow_id"
    ]
    cli.ok("workflows", "push", write_workflow("order", STEPS % 2))
    for verb in (["publish"], ["publish", "--version", "1"], ["deprecate"], ["delete"], ["restore"]):
        cli.ok("workflows", verb[0], "order", *verb[1:])
    rows = cli.list_audited()
    assert [(row[0], row[2]) for row in rows] == [
        (f"workflow.{what}", workflow_id)
        for what in ("created", "published", "draft_saved", "published", "published", "deprecated", "deleted", "restored")
    ]
    published = [cast("tuple[JsonObject, JsonObject]", row[3:]) for row in rows if row[0] == "workflow.published"]
    assert [(before["version"], after["version"], after["note"]) for before, after in published] == [
        (None, 1, "first"),
        (1, 2, ""),
        (2, 1, "first"),
    ]


def test_words_to_runs(cli: Cli, asks: str):
    run_id = str(cli.start(asks)[1]["run_id"])
    cli.ok("runs", "pause", run_id)
    cli.ok("runs", "signal", run_id, "go", "--payload", '{"secret": 1}')
    cli.ok("runs", "edit", run_id, "--set", "amount=3")
    cli.ok("runs", "cancel", run_id, "--reason", "enough")
    assert [(row[0], row[2], row[4]) for row in cli.list_audited()] == [
        ("run.paused", run_id, None),
        ("run.signalled", run_id, {"name": "go", "key": None}),
        ("run.corrected", run_id, {"fields": ["amount"]}),
        ("run.cancelled", run_id, {"reason": "enough"}),
    ]
    cli("runs", "continue", run_id)
    assert cli("runs", "pause", run_id).code == 6
    assert len(cli.list_audited()) == 4
    assert cli.ok("audit", "show", "4").row["action"] == "run.cancelled"


def test_change_of_a_run_and_what_is_shown_of_it(cli: Cli, asks: str):
    run_id = str(cli.start(asks)[1]["run_id"])
    cli.ok("runs", "change", run_id, "--priority", "2", "--label", "kind=a")
    (row,) = cli.list_audited()
    assert (row[0], row[4]) == ("run.updated", {"labels": {"kind": "a"}, "subject": None, "priority": 2})
    assert cli("runs", "change", run_id, "--label", f"kind={'x' * 201}").error["details"][0]["field"] == "labels.kind"  # type: ignore[index, call-overload]
    assert cli.ok("runs", "list", "--label", "kind=a").row["priority"] == 2
    assert [found["id"] for found in cli.ok("runs", "tree", run_id).rows] == [run_id]
    assert cli.ok("runs", "diagnose", run_id).row["suggestions"]


def test_people_and_keys_to_their_end(cli: Cli):
    user_id = cli.ok("users", "create", "ann@example.com").row["id"]
    made = cli.ok("keys", "create", "one", "--user", "ann@example.com", "--permission", "run:read").row
    assert cli.ok("keys", "rename", str(made["prefix"]), "two").row["name"] == "two"
    assert cli.ok("keys", "show", str(made["id"])).row["name"] == "two"
    assert cli.ok("keys", "usage", str(made["id"])).rows == []
    cli.ok("users", "sign-out", "ann@example.com")
    cli.ok("users", "delete", "ann@example.com")
    assert cli("users", "show", "ann@example.com").code == 4
    assert cli.ok("users", "restore", "ann@example.com").row["id"] == user_id
    cli.ok("users", "delete", "ann@example.com", "--permanent")
    told = [row[0] for row in cli.list_audited() if str(row[0]).startswith(("user.", "key."))]
    assert told == [
        *("user.created", "key.created", "key.updated", "user.signed_out"),
        *("user.deleted", "user.restored", "user.erased"),
    ]


def test_people_are_recorded_and_their_link_names_the_port_that_the_server_has_taken(cli: Cli):
    with tell_address(open_data_folder(cli.data), "127.0.0.1:50123"):
        made = cli.ok("users", "create", "ann@example.com", "--role", "builder").row
    assert str(made["link"]).startswith("http://127.0.0.1:50123/sign-in#token=")
    assert ":50123/" not in str(cli.ok("users", "link", "ann@example.com").row["link"])
    assert [(row[0], row[2]) for row in cli.list_audited()] == [
        ("user.created", made["id"]),
        ("user.sign_in_link_made", made["id"]),
    ]
