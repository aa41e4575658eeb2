"""`data.patch`."""

from typing import Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation
from flowforge.steps.data.fields import are_equal, is_index, name_type
from flowforge.steps.data.paths import put_member


class PatchStep(StrictModel):
    """One step of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"] = Field(description="What to do.")
    path: str = Field(description="Where, as a JSON Pointer (`/lines/0/price`; `/lines/-` is behind the last element).")
    value: pydantic.JsonValue = Field(default=None, description="The value, for `add`, `replace` and `test`.")
    source: str | None = Field(default=None, alias="from", description="Where the value comes from, for `move` and `copy`.")

    @model_validator(mode="after")
    def _check_parts(self) -> "PatchStep":
        if self.op in {"add", "replace", "test"} and "value" not in self.model_fields_set:
            raise ValueError(f"{self.op} needs a value")
        if self.op in {"move", "copy"} and self.source is None:
            raise ValueError(f"{self.op} needs from")
        for pointer in (self.path, self.source or ""):
            if pointer and not pointer.startswith("/"):
                raise ValueError(f"{pointer!r} is no JSON Pointer: it begins with /, or is empty for the whole")
        return self


class PatchParameters(StrictModel):
    """What to change, and how."""

    data: pydantic.JsonValue = Field(description="The value.")
    patch: list[PatchStep] = Field(max_length=100_000, description="The steps, as `data.diff` gives them.")


@operation(
    "data.patch",
    title="Apply a JSON Patch",
    category="data",
    icon="bandage",
    nature=Nature.PURE,
    errors=(
        ErrorCode("patch_failed", "A step names a place that is not there; the message has the step's number and the place."),
        ErrorCode("patch_test_failed", "A `test` step finds another value."),
    ),
    examples=(
        Example(
            "Three changes",
            {
                "data": {"name": "bolt", "sizes": [5, 8]},
                "patch": [
                    {"op": "test", "path": "/name", "value": "bolt"},
                    {"op": "add", "path": "/sizes/1", "value": 6},
                    {"op": "move", "path": "/title", "from": "/name"},
                ],
            },
            {"sizes": [5, 6, 8], "title": "bolt"},
        ),
    ),
)
def apply_patch(parameters: PatchParameters) -> JsonValue:
    """Applies a JSON Patch (RFC 6902) to a value: all of its steps, in order, or none. Gives the changed value."""
    document = _Document(parameters.data)
    for index, step in enumerate(parameters.patch):
        try:
            document.apply(step)
        except _PlaceError as error:
            raise FatalError(
                f"patch[{index}] ({step.op} {step.path}): {error}.", code=error.code, details={"index": index, "path": step.path}
            ) from None
    return document.root


class _PlaceError(Exception):
    """A step does not fit the value."""

    def __init__(self, message: str, code: str = "patch_failed") -> None:
        super().__init__(message)
        self.code = code


class _Document:
    """A value in change. What is on the way to a change is copied, each object and list once."""

    def __init__(self, root: JsonValue) -> None:
        self.root = root
        self._own: dict[int, JsonValue] = {}

    def apply(self, step: PatchStep) -> None:
        path = _parse_pointer(step.path)
        match step.op:
            case "add":
                self._add(path, step.value)
            case "replace":
                self._find(path)
                self._set(path, step.value)
            case "remove":
                self._remove(path)
            case "move":
                source = _parse_pointer(step.source or "")
                if path[: len(source)] == source and len(path) > len(source):
                    raise _PlaceError("a value cannot be moved into itself")
                value = self._find(source)
                self._remove(source)
                self._add(path, value)
            case "copy":
                value = self._find(_parse_pointer(step.source or ""))
                # Both places now hold the same objects, so that neither may be changed without a copy.
                self._own.clear()
                self._add(path, value)
            case "test":
                if not are_equal(self._find(path), step.value):
                    raise _PlaceError("there is another value", "patch_test_failed")

    def _find(self, path: list[str]) -> JsonValue:
        current = self.root
        for name in path:
            current = _look_up(current, name)
        return current

    def _take_holder(self, path: list[str]) -> JsonObject | list[JsonValue]:
        """The object or list that holds the last name of the path, our own to change."""
        self.root = current = self._copy(self.root)
        for name in path[:-1]:
            below = self._copy(_look_up(current, name))
            put_member(current, name, below)
            current = below
        return current

    def _copy(self, value: JsonValue) -> JsonObject | list[JsonValue]:
        if id(value) in self._own and isinstance(value, dict | list):
            return value
        if isinstance(value, dict):
            copied: JsonObject | list[JsonValue] = {**value}
        elif isinstance(value, list):
            copied = [*value]
        else:
            raise _PlaceError(f"on the way to it is {name_type(value)}")
        self._own[id(copied)] = copied
        return copied

    def _add(self, path: list[str], value: JsonValue) -> None:
        if not path:
            self.root = value
            return
        holder, name = self._take_holder(path), path[-1]
        if isinstance(holder, dict):
            holder[name] = value
        elif name == "-":
            holder.append(value)
        elif is_index(name, len(holder) + 1):
            holder.insert(int(name), value)
        else:
            raise _PlaceError(f"the list has {len(holder)} elements and no place {name}")

    def _set(self, path: list[str], value: JsonValue) -> None:
        if path:
            put_member(self._take_holder(path), path[-1], value)
        else:
            self.root = value

    def _remove(self, path: list[str]) -> None:
        if not path:
            self.root = None
            return
        self._find(path)
        holder = self._take_holder(path)
        if isinstance(holder, dict):
            del holder[path[-1]]
        else:
            del holder[int(path[-1])]


def _parse_pointer(pointer: str) -> list[str]:
    return [name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:]]


def _look_up(value: JsonValue, name: str) -> JsonValue:
    if isinstance(value, dict) and name in value:
        return value[name]
    if isinstance(value, list) and is_index(name, len(value)):
        return value[int(name)]
    raise _PlaceError(f"{name_type(value)} there has no {name!r}")
