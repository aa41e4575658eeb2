"""The use cases of triggers. Nothing here commits: that is done at the edge; but `Firing` and `Recorder` have transactions of their own."""

from flowforge.triggers.attaching import Wish, attach, change, detach, pause, remove_triggers
from flowforge.triggers.checking import check_trigger
from flowforge.triggers.firing import Firing, Occurrence
from flowforge.triggers.publishing import replace_triggers
from flowforge.triggers.recording import Recorder
from flowforge.triggers.registry import KINDS, get_kind

__all__ = [
    "KINDS",
    "Firing",
    "Occurrence",
    "Recorder",
    "Wish",
    "attach",
    "change",
    "check_trigger",
    "detach",
    "get_kind",
    "pause",
    "remove_triggers",
    "replace_triggers",
]
