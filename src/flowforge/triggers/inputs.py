"""The run's input, made from what came: the trigger's `input`, else its kind's default."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.database.session import Sessions
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.catalog import Catalog
from flowforge.language.expressions import Context, ExpressionError, Scope, Template, compile_template
from flowforge.language.expressions import Limits as ExpressionLimits
from flowforge.language.pure_functions import list_pure_functions
from flowforge.triggers.errors import InputFailedError
from flowforge.triggers.registry import get_kind
from flowforge.triggers.types import Trigger
from flowforge.vault import service as vault

_ROOTS: Final = frozenset({"trigger", "vars"})
_KEPT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Made:
    template: Template
    reads_variables: bool


class Inputs:
    """Compiles the templates of triggers once, and evaluates them. Their expressions see `trigger` and `vars`, nothing else."""

    def __init__(self, sessions: Sessions, catalog: Catalog, limits: Limits) -> None:
        self._sessions = sessions
        self._functions = list_pure_functions(catalog)
        self._limits = ExpressionLimits(
            source_bytes=limits.expr_src_bytes,
            depth=limits.expr_depth,
            nodes=limits.expr_nodes,
            ticks=limits.expr_ops,
            result_bytes=limits.expr_out_bytes,
        )
        self._made: OrderedDict[tuple[str, str], _Made] = OrderedDict()

    async def make(self, trigger: Trigger, holds: JsonObject, at_ms: int) -> JsonValue:
        """`holds`: all of `trigger`, as the expressions see it.

        Raises:
            InputFailedError: an expression fails with what came.
        """
        if not trigger.has_input:
            return get_kind(trigger.kind).make_input(holds)
        made = self._find(trigger)
        variables: JsonObject = {}
        if made.reads_variables:
            async with self._sessions() as session:
                variables = await _read_variables(session, trigger.workspace_id)
        context = Context({"trigger": holds, "vars": variables}, at_ms, trigger.id.encode())
        try:
            return made.template.evaluate(context)
        except ExpressionError as fault:
            raise InputFailedError(trigger.key, fault.field or "", str(fault), fault.code) from fault

    def _find(self, trigger: Trigger) -> _Made:
        key = (trigger.id, trigger.etag)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = self._compile(trigger)
            if len(self._made) > _KEPT_MAX:
                self._made.popitem(last=False)
        return found

    def _compile(self, trigger: Trigger) -> _Made:
        check = compile_template(trigger.input, Scope(_ROOTS), self._functions, limits=self._limits)
        if check.template is None:
            # Checked when it was published; a later version knows less only where an operation was taken away.
            fault = check.faults[0]
            raise InputFailedError(trigger.key, fault.path, fault.message, fault.code)
        reads = any(reference.path[0] == "vars" for placed in check.expressions for reference in placed.compiled.references)
        return _Made(check.template, reads)


async def _read_variables(session: AsyncSession, workspace_id: str) -> JsonObject:
    return {variable.name: variable.value for variable in await vault.list_variables(session, workspace_id)}
