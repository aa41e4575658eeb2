"""Checks of triggers that are not in a document, by the same rules as those that are."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.errors import Detail
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.catalog import Catalog
from flowforge.language.compiling.starts import compile_triggers
from flowforge.language.compiling.templates import TemplateCompiler
from flowforge.language.faults import Sink
from flowforge.triggers.errors import TriggerInvalidError
from flowforge.triggers.registry import get_kind

_PLACE = "triggers[0]"


def check_trigger(trigger: JsonObject, catalog: Catalog, limits: Limits) -> list[Detail]:
    """Makes sure of `uses`, `with` and `input`; gives the warnings.

    Raises:
        TriggerInvalidError: the details name every fault, from the trigger on (`with.path`).
    """
    sink = Sink()
    document: JsonObject = {"triggers": [trigger]}
    templates = TemplateCompiler(sink, catalog, limits, document)
    compile_triggers([trigger], templates, sink)
    faults = [_shorten(fault.to_detail()) for fault in sink.list_errors()]
    if faults:
        raise TriggerInvalidError(faults)
    return [_shorten(warning.to_detail()) for warning in sink.list_warnings()]


async def check_deeply(
    session: AsyncSession, workspace_id: str, kind: str, config: JsonObject, *, limits: Limits, now_ms: int
) -> list[Detail]:
    """What only the server finds out about valid parameters: the faults, from the trigger on (`with.cron`)."""
    found = get_kind(kind)
    faults = await found.check(session, workspace_id, found.complete(config), limits, now_ms)
    return [replace(fault, field=f"with.{fault.field}" if fault.field else "with") for fault in faults]


def _shorten(detail: Detail) -> Detail:
    field = detail.field.removeprefix(_PLACE).removeprefix(".")
    return Detail(field, detail.message, detail.code, suggestion=detail.suggestion)
