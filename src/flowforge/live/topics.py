"""What can be listened to, and by whom."""

from dataclasses import dataclass

from flowforge.kit.bus import BusEvent, user_topic, workflow_topic, workspace_topic
from flowforge.kit.errors import RequestError
from flowforge.live.errors import CloseCode, LiveClosedError
from flowforge.runs.sight import get_seen_run
from flowforge.runs.types import RunHeader
from flowforge.web.callers import Caller
from flowforge.web.calls import Call
from flowforge.workflows.rights import find_sight
from flowforge.workflows.service import get_workflow

_RUN_READ = "run:read"
_WORKFLOW_READ = "workflow:read"


@dataclass(frozen=True, slots=True)
class Topic:
    """`run`: its events come from the journal. Else `name` is the bus's topic."""

    name: str
    run: RunHeader | None = None


async def find_topic(call: Call, text: str) -> Topic:
    """The topic that a client names.

    Raises:
        LiveClosedError: 4400 where there is no such kind of topic, 4403 where there is no such thing or the caller may not see it.
    """
    kind, _, name = text.partition(":")
    try:
        if kind == "run" and name:
            async with call.read() as session:
                header = await get_seen_run(session, call, name)
            return Topic(f"run:{header.id}", header)
        if kind == "workflow" and name:
            return await _find_workflow_topic(call, name)
    except RequestError:
        raise LiveClosedError(CloseCode.NOT_ALLOWED, "There is no such topic for you.") from None
    if text == "user" and call.caller.user_id is not None:
        return Topic(user_topic(call.caller.user_id))
    if text == "workspace":
        if not call.caller.rights.allow(_RUN_READ):
            raise LiveClosedError(CloseCode.NOT_ALLOWED, "There is no such topic for you.")
        return Topic(workspace_topic(call.workspace_id))
    raise LiveClosedError(CloseCode.BAD_FRAME, "Topics are run:<id>, workflow:<id>, user and workspace.")


async def _find_workflow_topic(call: Call, subject: str) -> Topic:
    async with call.read() as session:
        workflow = await get_workflow(session, call.workspace_id, subject)
    if not find_sight(call.caller).shows(workflow.project_id, is_public=workflow.is_public):
        raise LiveClosedError(CloseCode.NOT_ALLOWED, "There is no such topic for you.")
    return Topic(workflow_topic(workflow.id))


def may_hear(caller: Caller, topic: Topic, event: BusEvent) -> bool:
    """Whether an event of the topic is for this caller: one needs the right to read what it is about."""
    if topic.name.startswith("user:"):
        return True
    if event.workspace_id != caller.workspace_id:
        return False
    area = event.type.partition(".")[0]
    if topic.name.startswith("workflow:"):
        return area != "run" or caller.rights.allow_somewhere(_RUN_READ)
    return caller.rights.allow(_AREAS.get(area, f"{area}:read"))


_AREAS = {"run": _RUN_READ, "workflow": _WORKFLOW_READ, "batch": _RUN_READ}
