"""What a kind of trigger is: one definition, from which come the checks, the schema, the reference and what fires.

Its name, parameters and what `trigger` holds are the language's (a document can be checked without a server); what a server adds stands
beside them here.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.errors import Detail
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.triggers import COMMON_TRIGGER_FIELDS, TriggerKind
from flowforge.triggers.types import ConnectionTest, Trigger
from flowforge.web.calls import Call

MakeInput = Callable[[JsonObject], JsonValue]
"""The run's input where the trigger gives none, from what `trigger` holds."""
TestConnection = Callable[[Call, JsonObject], Awaitable[ConnectionTest]]
"""Looks whether what the trigger listens to can be reached. Takes parameters that are valid."""
Check = Callable[[AsyncSession, str, JsonObject, Limits, int], Awaitable[Sequence[Detail]]]
"""What only a server can check: takes the workspace, valid parameters with their defaults, the limits and the time in ms; gives faults
whose `field` begins behind `with`."""
OnChange = Callable[[AsyncSession, Trigger, int], Awaitable[None]]
"""Called in the transaction in which a trigger of the kind was made, changed, paused, resumed, switched on or off; takes it as it is now,
and the time. What a kind keeps in tables of its own is kept in step here."""
OnGone = Callable[[AsyncSession, Trigger], Awaitable[None]]
"""Called in the transaction in which a trigger of the kind is deleted."""


async def reach_nothing(_call: Call, _parameters: JsonObject) -> ConnectionTest:
    """For kinds that listen to nothing outside."""
    return ConnectionTest(None, "This kind of trigger connects to nothing.")


async def find_no_faults(
    _session: AsyncSession, _workspace_id: str, _parameters: JsonObject, _limits: Limits, _now_ms: int
) -> Sequence[Detail]:
    """For kinds that the language can check."""
    return ()


async def do_nothing(_session: AsyncSession, _trigger: Trigger, _at_ms: int) -> None:
    """For kinds that keep no tables of their own."""


async def forget_nothing(_session: AsyncSession, _trigger: Trigger) -> None:
    """As `do_nothing`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of trigger. `examples`: values of `with`; `warn`: what may be meant otherwise than it is written."""

    definition: TriggerKind
    make_input: MakeInput
    examples: Sequence[JsonObject] = ()
    check: Check = find_no_faults
    test: TestConnection = reach_nothing
    warn: Callable[[JsonObject], Sequence[str]] = field(default=lambda _parameters: ())
    on_change: OnChange = do_nothing
    on_gone: OnGone = forget_nothing

    @property
    def name(self) -> str:
        return self.definition.name

    def complete(self, parameters: JsonObject) -> JsonObject:
        """The parameters with the defaults filled in."""
        defaults = {part.name: part.default for part in self.definition.parameters.fields if part.default is not None}
        return defaults | parameters

    def describe(self) -> JsonObject:
        """As `GET /triggers/types` tells it."""
        definition = self.definition
        return {
            "name": definition.name,
            "title": definition.title,
            "description": definition.description,
            "schema": definition.parameters.schema(),
            "trigger": [*COMMON_TRIGGER_FIELDS, *definition.holds],
            "secret_fields": [*sorted(definition.secret_fields)],
            "examples": [*self.examples],
        }
