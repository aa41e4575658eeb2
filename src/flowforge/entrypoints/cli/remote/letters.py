"""`flowforge dead-letters` on a server."""

from typing import Final

from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.remote import looking
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.errors import NotFoundError
from flowforge.kit.values import JsonObject

_COLUMNS: Final = (
    field("id", "id", style="bold"),
    field("kind", "kind"),
    field("what", "what"),
    field("tries", "tries"),
    field("since", "since"),
)


def list_(server: Server) -> None:
    server.output.write_rows(_list(server), _COLUMNS, empty="There is no dead letter.")


def show(server: Server, letter_id: str) -> None:
    if letter_id.startswith("run_"):
        looking.show(server, letter_id, has_steps=True)
        return
    found = next((letter for letter in _list(server) if letter["id"] == letter_id), None)
    if found is None:
        raise NotFoundError(f"There is no dead letter {letter_id}; `flowforge dead-letters list` shows those that there are.")
    server.output.write_object(found, title=letter_id)


def redrive(server: Server, letter_id: str) -> None:
    server.ask("POST", make_path("system", "dead-letters", letter_id, "redrive"))
    server.output.confirm(f"{letter_id} is tried again.", {"id": letter_id, "done": "redrive"})


def discard(server: Server, letter_id: str) -> None:
    server.ask("POST", make_path("system", "dead-letters", letter_id, "discard"))
    server.output.confirm(f"{letter_id} is given up.", {"id": letter_id, "done": "discard"})


def _list(server: Server) -> list[JsonObject]:
    return server.list_rows("/system/dead-letters")
