"""Many options of one command as one value."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


def with_options(kind: type[Any]) -> Callable[[Callable[..., ResultT]], Callable[..., ResultT]]:
    """Lets a command take its options as the last argument, a dataclass of that kind.

    Each field is an option, annotated and with a default as typer wants it of a parameter.
    """
    fields = dataclasses.fields(kind)
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields]
    options = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=_default_of(field), annotation=hints[field.name])
        for field in fields
    ]

    def decorate(command: Callable[..., ResultT]) -> Callable[..., ResultT]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]

        @wraps(command)
        def call(**given: Any) -> ResultT:
            chosen = kind(**{name: given.pop(name) for name in names})
            return command(**given, options=chosen)

        signature = inspect.Signature([*own, *options])
        setattr(call, "__signature__", signature)  # noqa: B010 (a function has no such attribute for the type checker)
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
        return call

    return decorate


def _default_of(field: "dataclasses.Field[Any]") -> object:
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
