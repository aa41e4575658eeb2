"""The decorator that makes an operation out of a typed function."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Required, TypedDict, Unpack

from pydantic import BaseModel

from flowforge.operations.definition import Cache, ErrorCode, Example, Nature, Operation, OperationFunction
from flowforge.operations.models import IS_FILE, IS_LITERAL, IS_URL, MAY_SECRET, collect_marked, list_models

OPERATION_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
PORT_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
RESERVED_PREFIXES: Final = ("flow.", "human.")
"""Kinds of these names belong to the language itself."""
RESERVED_PORT: Final = "error"


class DefinitionError(TypeError):
    """The function or the facts given to `@operation` do not make an operation. Raised when the module is imported."""


class Facts(TypedDict, total=False):
    """What an author says about an operation; the rest is read from the function. Meanings as in `Operation`."""

    title: Required[str]
    category: Required[str]
    icon: Required[str]
    nature: Required[Nature]
    version: int
    result: type[BaseModel] | None
    """Only for a function that returns `Exit`: the model of its results."""
    ports: tuple[str, ...]
    errors: tuple[ErrorCode, ...]
    examples: tuple[Example, ...]
    permission: str
    target: Callable[[Mapping[str, Any]], str]
    cache: Cache
    with_file: OperationFunction
    """The form of a pure operation for a file: a plain function that takes the same parameters and a context, and runs as a heavy one."""


def operation(name: str, **facts: Unpack[Facts]) -> Callable[[OperationFunction], Operation]:
    """Makes an `Operation` of the function below it.

    A pure function is written `def add(parameters: AddParameters) -> AddResult`; an effect
    `async def send(parameters: SendParameters, context: OperationContext) -> SendResult`. The annotations give the models; a result
    that is no Pydantic model is plain JSON. The docstring is the description.

    Raises:
        DefinitionError: a fact or the function's shape is wrong; the message says what to mend.
    """
    unknown = sorted(set(facts) - Facts.__required_keys__ - Facts.__optional_keys__)
    missing = sorted(Facts.__required_keys__ - set(facts))
    if unknown or missing:
        wrong = [f"unknown {word}" for word in unknown] + [f"missing {word}" for word in missing]
        raise DefinitionError(f"Operation {name}: {', '.join(wrong)}.")

    def make_operation(function: OperationFunction) -> Operation:
        parameters, result = _read_models(name, facts["nature"], function)
        known: dict[str, Any] = {
            "version": 1,
            "parameters": parameters,
            "result": result,
            "description": inspect.getdoc(function) or "",
            "secret_parameters": collect_marked(parameters, MAY_SECRET),
            "url_parameters": collect_marked(parameters, IS_URL),
            "literal_parameters": collect_marked(parameters, IS_LITERAL),
            "file_parameters": collect_marked(parameters, IS_FILE),
            **facts,
        }
        known["file_function"] = known.pop("with_file", None)
        made = Operation(name=name, function=function, **known)
        check_operation(made)
        return made

    return make_operation


def _read_models(name: str, nature: Nature, function: OperationFunction) -> tuple[type[BaseModel], type[BaseModel] | None]:
    signature = inspect.signature(function, eval_str=True)
    wanted = 1 if nature is Nature.PURE else 2
    if len(signature.parameters) != wanted:
        shape = "(parameters)" if wanted == 1 else "(parameters, context)"
        raise DefinitionError(f"Operation {name}: a function of nature {nature} takes {shape}, this one has {signature}.")
    first = next(iter(signature.parameters.values())).annotation
    if not _is_model(first):
        raise DefinitionError(f"Operation {name}: annotate the first parameter with a Pydantic model of the parameters.")
    returned = signature.return_annotation
    if returned is inspect.Signature.empty:
        raise DefinitionError(f"Operation {name}: annotate what it returns: a Pydantic model, JsonValue, or Exit.")
    return first, returned if _is_model(returned) else None


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def check_operation(operation: Operation) -> None:
    """Refuses an operation that could not be served.

    Raises:
        DefinitionError: see the message.
    """
    faults = [*_list_name_faults(operation), *_list_function_faults(operation), *_list_model_faults(operation)]
    if faults:
        raise DefinitionError(f"Operation {operation.name}: {'; '.join(faults)}.")


def _list_name_faults(operation: Operation) -> list[str]:
    faults: list[str] = []
    if not OPERATION_NAME.fullmatch(operation.name):
        faults.append("a name is lower-case words joined by dots, at least two, such as crypto.hash")
    if operation.name.startswith(RESERVED_PREFIXES):
        faults.append("names that begin with flow. or human. belong to the language")
    if operation.version < 1:
        faults.append("the version counts from 1")
    if not operation.description:
        faults.append("the function needs a docstring, it is the description that people read")
    faults.extend(
        f"{port!r} cannot be a port; ports are lower-case words, and error is there already"
        for port in operation.ports
        if port == RESERVED_PORT or not PORT_NAME.fullmatch(port)
    )
    if not operation.ports or len(set(operation.ports)) != len(operation.ports):
        faults.append("ports must be at least one and differ from each other")
    if len({error.code for error in operation.errors}) != len(operation.errors):
        faults.append("an error code is listed twice")
    return faults


def _list_function_faults(operation: Operation) -> list[str]:
    is_async = inspect.iscoroutinefunction(operation.function)
    if operation.is_pure and is_async:
        return ["a pure operation is a plain function; write def instead of async def, or give it the nature EFFECT"]
    if operation.nature is Nature.EFFECT and not is_async:
        return ["an effect is an async function; write async def, or give it the nature PURE or HEAVY"]
    if operation.file_function is not None and not (operation.is_pure and operation.file_parameters):
        return ["a form for files belongs to a pure operation that has a parameter of the type FileInput"]
    if operation.cache is not None and operation.is_pure:
        return ["a pure operation is computed sooner than it is looked up; one that is costly has the nature HEAVY"]
    if operation.cache is not None and operation.nature is Nature.EFFECT and not operation.cache.only_reads:
        return [
            "an effect that is not done again must not be missed: give the cache only_reads=True if it changes nothing outside"
        ]
    return []


def _list_model_faults(operation: Operation) -> list[str]:
    return [
        f"{model.__name__} takes fields it does not know; derive it from StrictModel, or set model_config = ConfigDict(extra='forbid')"
        for model in list_models(operation.parameters)
        if model.model_config.get("extra") != "forbid"
    ]
