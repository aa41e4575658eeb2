"""Webhooks as the OpenAPI document has them. They are answered by `intake`, which stands before the framework."""

from typing import Annotated, Any, Final, NoReturn

from fastapi import Path
from pydantic import Field

from flowforge.kit.errors import InvariantError
from flowforge.runs.once import IdempotencyMismatchError
from flowforge.triggers.errors import HookNotFoundError, SignatureError
from flowforge.web.bodies import Answer
from flowforge.web.callers import OPEN
from flowforge.web.routing import Router

hooks: Final = Router("hooks", "/hooks", is_root=True)


class DeliveryAnswer(Answer):
    """The run exists, or the event is held."""

    run_id: str | None = Field(default=None, examples=["run_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    status: str | None = Field(default=None, description="The run's.", examples=["running"])
    duplicate: bool = Field(description="The same delivery came before.")
    event_id: str | None = Field(default=None, description="Where the trigger is paused and keeps what comes.")


_BODY: Final[dict[str, Any]] = {
    "description": "Whatever the sender sends; how it is read says its Content-Type.",
    "required": False,
    "content": {"*/*": {"schema": {}}},
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The workflow's own answer, where the trigger asks for it: any type, and any status of 200 to 599."}
}
_OPTIONS: Final[dict[str, Any]] = {
    "status": 202,
    "errors": [HookNotFoundError, SignatureError, IdempotencyMismatchError],
    "answers": _ANSWERS,
}
HookPath = Annotated[str, Path(max_length=200, description="The trigger's `path`.", examples=["orders"])]
WorkspaceIn = Annotated[str, Path(max_length=64, description="Name or id of the workspace.", examples=["acme"])]


@hooks.post("/@{workspace}/{path:path}", OPEN, summary="Deliver to a webhook of another workspace", **_OPTIONS)
async def deliver_to_workspace(workspace: WorkspaceIn, path: HookPath) -> DeliveryAnswer:
    """As `POST /hooks/{path}`."""
    del workspace
    _refuse(path)


@hooks.post("/{path:path}", OPEN, summary="Deliver to a webhook", **_OPTIONS)
async def deliver(path: HookPath) -> DeliveryAnswer:
    """Starts a run of the workflow that has a webhook of this path. How the sender proves itself says the trigger.

    A path that is unknown, off, refusing, or closed to the sender's address is one and the same 404.
    """
    _refuse(path)


def _refuse(path: str) -> NoReturn:
    raise InvariantError(f"The intake of webhooks is not wired into this server: {path}")
