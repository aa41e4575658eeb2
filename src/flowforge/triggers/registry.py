"""All kinds of triggers, by name."""

from collections.abc import Mapping
from typing import Final

from flowforge.triggers.errors import KindNotFoundError
from flowforge.triggers.event_trigger import EVENT
from flowforge.triggers.file_watch import FILE
from flowforge.triggers.form_trigger import FORM
from flowforge.triggers.kinds import Kind
from flowforge.triggers.mail_trigger import EMAIL
from flowforge.triggers.schedule import SCHEDULE
from flowforge.triggers.webhook import WEBHOOK

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        WEBHOOK,
        SCHEDULE,
        FILE,
        EVENT,
        EMAIL,
        FORM,
    )
}


def get_kind(name: str) -> Kind:
    """Raises KindNotFoundError where there is none of that name."""
    found = KINDS.get(name)
    if found is None:
        raise KindNotFoundError(name, [*KINDS])
    return found
