"""A run as one document that can be looked at, or kept, elsewhere."""

from typing import Final, cast

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.effects import read_effects
from flowforge.runs.service import LoadedRun
from flowforge.runs.types import JournalTurn
from flowforge.runs.views import describe_effect, describe_row

EXPORT_FORMAT: Final = 1


def export_run(run: LoadedRun) -> JsonObject:
    """Journal, definition and effects of a run.

    Secrets are in none of them: journals and definitions hold their names only. Values that lie in the object store stay references.
    """
    return {
        "flowforge_run": EXPORT_FORMAT,
        "run": describe_row(run.header),
        "definition": run.definition,
        "definition_digest": run.header.digest,
        "journal": [_export_turn(turn) for turn in run.turns],
        "effects": [describe_effect(effect) for effect in read_effects(run.turns, run.workflow)],
    }


def _export_turn(turn: JournalTurn) -> JsonObject:
    return {"seq": turn.seq, "at": format_timestamp_ms(turn.at_ms), "events": cast("list[JsonValue]", list(turn.events))}
