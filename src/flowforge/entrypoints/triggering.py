"""Triggers that go live and off with their workflow, whoever publishes it: the server or the command line."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.entrypoints.wiring import Installation
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.workflows.switching import TriggerSwitch


class TriggerPublisher:
    """The port `OnPublished` of workflows, by the triggers."""

    def __init__(self, limits: Limits) -> None:
        self._limits: Final = limits

    async def __call__(
        self,
        session: AsyncSession,
        actor: str,
        workspace_id: str,
        workflow_id: str,
        name: str,
        document: JsonObject | None,
        at_ms: int,
    ) -> None:
        # The triggers bring the web framework with them: 0.3 s, for commands that publish only.
        from flowforge.triggers.service import replace_triggers

        await replace_triggers(session, actor, workspace_id, workflow_id, name, document, at_ms, self._limits)


def make_trigger_switch(installation: Installation) -> TriggerSwitch:
    """`on_published` of it is what publishing calls."""
    return TriggerSwitch(TriggerPublisher(installation.settings.limits), installation.check_source)
