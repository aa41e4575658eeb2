"""Pydantic ground for parameters and results, and the marks that a field can carry."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class StrictModel(BaseModel):
    """Parameters or a result: no field that is not declared, no change afterwards, fields called by their name in the document.

    Its validator is built at the first use, so that a process that never calls the operation does not pay for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def require_one(model: BaseModel, *names: str, null_counts: Collection[str] = ()) -> None:
    """For validators: exactly one of the fields is given. A null counts as given only in the fields of `null_counts`.

    Raises:
        ValueError: none of them is given, or several.
    """
    given = [
        name for name in names if getattr(model, name) is not None or (name in null_counts and name in model.model_fields_set)
    ]
    if len(given) != 1:
        fields = type(model).model_fields
        shown = [fields[name].alias or name for name in names]
        raise ValueError(f"give exactly one of {', '.join(shown[:-1])} and {shown[-1]}")


@dataclass(frozen=True, slots=True)
class FieldMark:
    """Put behind a type with `Annotated`; appears in the JSON Schema as `x-flowforge-<name>`."""

    name: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), f"x-flowforge-{self.name}": True}


MAY_SECRET: Final = FieldMark("secret")
"""`Annotated[str, MAY_SECRET]`: this field and everything below it may hold `${{ secrets.NAME }}`."""
IS_URL: Final = FieldMark("url")
"""`Annotated[str, IS_URL]`: values that an expression inserts into this text are percent-encoded."""
IS_LITERAL: Final = FieldMark("literal")
"""`Annotated[str, IS_LITERAL]`: this field and everything below it is code (SQL, a script), which the author alone writes: an expression
in it is a fault of the document, so that data never becomes code."""
IS_FILE: Final = FieldMark("file")
"""A field that takes a file value; where it is given, an operation that has a form for files uses it."""
FileInput = Annotated[dict[str, pydantic.JsonValue], IS_FILE]
"""A file value as a step gave it: `{"$file": {"id", "name", "media_type", "size", "sha256"}}`."""


def collect_marked(model: type[BaseModel], mark: FieldMark) -> frozenset[str]:
    """Dotted paths of the fields of the model, and of models inside it, that carry the mark; a list's index is left out of a path."""
    return frozenset(_find_marked(model, mark, "", ()))


def list_models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The model and all models that its fields hold, each once."""
    found = [model]
    for current in found:
        for field in current.model_fields.values():
            found.extend(inner for inner in _models_in(field.annotation) if inner not in found)
    return found


def _find_marked(model: type[BaseModel], mark: FieldMark, prefix: str, outer: tuple[type[BaseModel], ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        if _is_marked(field, mark):
            yield path
            continue
        for inner in _models_in(field.annotation):
            if inner not in (*outer, model):
                yield from _find_marked(inner, mark, f"{path}.", (*outer, model))


def _is_marked(field: FieldInfo, mark: FieldMark) -> bool:
    return mark in field.metadata or mark in _metadata_in(field.annotation)


def _metadata_in(annotation: Any) -> Iterator[object]:
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        yield from _metadata_in(argument)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
