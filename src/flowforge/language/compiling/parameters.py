"""Checks an operation's parameters against its schema, as far as they are known before a run."""

import re
from typing import TYPE_CHECKING, Final

import pydantic

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.code_checks import CodeCheck
from flowforge.language.faults import At, Sink
from flowforge.language.literals import is_above, is_below, list_texts
from flowforge.language.positions import Path
from flowforge.language.schema_faults import holds_expression, list_schema_faults, make_validator
from flowforge.language.shapes import is_expression_text
from flowforge.operations.definition import Operation

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

_SECRET_NAME: Final = re.compile(
    r"(^|[-_.])(authorization|cookie|secret|password|passwd|passphrase|token|bearer|api[-_]?key|access[-_]?key|private[-_]?key)$",
    re.IGNORECASE,
)
_NOT_SECRET_NAMES: Final = frozenset({"user", "username", "header", "query", "kind", "type"})
_TEXT_BODIES: Final = {"http.request": "text"}
_SECRET_VALUE: Final = re.compile(r"(bearer|basic|token)\s+\S+", re.IGNORECASE)


class ParameterChecker:
    """Checks the calls of one document; a schema is compiled once for all steps that use the operation."""

    def __init__(self, sink: Sink, check_code: CodeCheck) -> None:
        self._sink = sink
        self._check_code = check_code
        self._validators: dict[str, Draft202012Validator] = {}

    def check(self, operation: Operation, parameters: JsonObject, path: Path) -> None:
        """Tells every fault of the parameters that stand at `path`; what an expression will give is left to the run."""
        self._warn_about_secrets(parameters, path)
        self._refuse_body_template(operation, parameters, path)
        self._check_literals(operation, parameters, path)
        schema = operation.parameters_schema
        validator = self._validators.get(operation.name)
        if validator is None:
            validator = self._validators.setdefault(operation.name, make_validator(schema))
        faults = list_schema_faults(
            validator, schema, parameters, is_hidden=lambda inner: is_below(inner, operation.secret_parameters)
        )
        for fault in faults:
            at = At.KEY if fault.is_name else At.VALUE
            self._sink.add(fault.code, (*path, *fault.path), fault.message, suggestion=fault.suggestion, at=at)
        if not faults and not holds_expression(parameters):
            self._check_by_model(operation, parameters, path)

    def _check_by_model(self, operation: Operation, parameters: JsonObject, path: Path) -> None:
        """The rules that a JSON Schema cannot say; only where every value is known."""
        try:
            operation.parameters.model_validate(parameters)
        except pydantic.ValidationError as error:
            for fault in error.errors(include_url=False, include_input=False, include_context=False):
                known = _keep_known_path(parameters, fault["loc"])
                told = fault["msg"].removeprefix("Value error, ").rstrip(".")
                self._sink.add("value", (*path, *known), f"{told[:1].upper()}{told[1:]}.")

    def _refuse_body_template(self, operation: Operation, parameters: JsonObject, path: Path) -> None:
        """A JSON body is built from values: put together as text, one quote in a value would change its shape."""
        name = _TEXT_BODIES.get(operation.name)
        text = parameters.get(name) if name is not None else None
        if name is not None and isinstance(text, str) and is_expression_text(text) and text.lstrip().startswith(("{", "[")):
            message = "An expression stands inside a JSON body that is given as text; write the body as values under `json`."
            self._sink.add("body_template", (*path, name), message, suggestion="json")

    def _check_literals(self, operation: Operation, parameters: JsonObject, path: Path) -> None:
        """Code must be readable, and data must never become code: what an expression gives is handed over beside it."""
        if not operation.literal_parameters:
            return
        for inner, text in list_texts(parameters, ()):
            is_code = is_below(inner, operation.literal_parameters)
            if is_expression_text(text) and (is_code or is_above(inner, operation.literal_parameters)):
                message = (
                    "This is code, and an expression may not stand in it; hand the value over beside it, as a parameter or input."
                )
                self._sink.add("expr_not_allowed", (*path, *inner), message)
            elif is_code and (fault := self._check_code(operation, str(inner[0]), text)):
                self._sink.add(fault.code, (*path, *inner), fault.message)

    def _warn_about_secrets(self, parameters: JsonObject, path: Path) -> None:
        for inner, text in list_texts(parameters, path):
            if is_pasted_secret(inner, text):
                message = (
                    "This looks like a plain secret; store it with `flowforge secrets set NAME` and write ${{ secrets.NAME }}."
                )
                self._sink.warn("secret_in_definition", inner, message)


def is_pasted_secret(path: Path, text: str) -> bool:
    """Whether a constant text looks like a password or a token, by the name of its field or its own form."""
    if not text or is_expression_text(text):
        return False
    if path[-1] in _NOT_SECRET_NAMES:
        return False
    names = [part for part in path[-2:] if isinstance(part, str)]
    return any(_SECRET_NAME.search(name) for name in names) or _SECRET_VALUE.fullmatch(text) is not None


def _keep_known_path(value: JsonValue, location: tuple[int | str, ...]) -> Path:
    """The part of a model's location that is in the document; names of alternatives inside are passed over."""
    path: Path = ()
    for part in location:
        if isinstance(value, dict):
            inner = value.get(str(part))
        else:
            inner = value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None
        if inner is not None:
            value, path = inner, (*path, part)
    return path
