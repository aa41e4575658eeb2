"""Two operations for tests, one durable and one pure, each with two ports; an oracle says what they give, so they are never called."""

from functools import lru_cache
from typing import Final

from pydantic import JsonValue as AnyJson

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.compiler import compile_document
from flowforge.language.graph import Workflow
from flowforge.operations import Exit, Nature, OperationContext, Registry, StrictModel, operation

PORTS: Final = ("done", "other")


class Parameters(StrictModel):
    value: AnyJson = None


@operation("test.effect", title="Effect", category="test", icon="bolt", nature=Nature.EFFECT, ports=PORTS, result=None)
async def effect(parameters: Parameters, context: OperationContext) -> Exit:
    """Gives back what it was handed."""
    return Exit("done", parameters.value)


@operation("test.pure", title="Pure", category="test", icon="bolt", nature=Nature.PURE, ports=PORTS, result=None)
def pure(parameters: Parameters) -> Exit:
    """Gives back what it was handed."""
    return Exit("done", parameters.value)


@lru_cache
def registry() -> Registry:
    found = Registry()
    found.register(effect)
    found.register(pure)
    return found


def compile_valid(document: JsonObject) -> Workflow:
    """The compiled document. Fails the test that hands in a faulty one."""
    compilation = compile_document(document, registry(), Limits())
    assert compilation.workflow is not None, [f"{fault.code} at {fault.field}: {fault.message}" for fault in compilation.errors]
    return compilation.workflow
