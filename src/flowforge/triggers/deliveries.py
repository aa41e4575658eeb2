"""What makes two deliveries the same one: the sender's id of it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from flowforge.kit.values import JsonValue
from flowforge.runs.once import Once
from flowforge.triggers.errors import DeliveryIdError
from flowforge.triggers.signatures import Sent

_VISIBLE: Final = re.compile(r"[!-~]{1,255}")
_HEADERS: Final[Mapping[str, Sequence[str]]] = {"standard": ["webhook-id"], "github": ["x-github-delivery"]}
_ANY_HEADERS: Final[Sequence[str]] = ["webhook-id", "x-webhook-id"]
_BODY_FIELDS: Final = {"stripe": "id", "slack": "event_id"}


def digest_body(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def has_id_inside(form: str) -> bool:
    """Whether the id stands in the body, which must be read first."""
    return form in _BODY_FIELDS


def find_delivery_id(form: str, sent: Sent, body: JsonValue) -> tuple[str | None, str]:
    """The id, and where it is looked for. `body` is used where the form has its id inside.

    Raises:
        DeliveryIdError: it is no visible ASCII of at most 255 characters.
    """
    field = _BODY_FIELDS.get(form)
    if field is not None:
        given = body.get(field) if isinstance(body, dict) else None
        return (None if given is None else _require_usable(given, field)), field
    names = _HEADERS.get(form, _ANY_HEADERS)
    for name in names:
        values = sent.headers.get(name)
        if values is not None:
            return _require_usable(values[0] if len(values) == 1 else "", name), name
    return None, names[0]


def make_once(trigger_id: str, form: str, rule: str, sent: Sent, body: JsonValue) -> Once | None:
    """By what a repetition is known; None: every delivery is a new one. `rule`: the trigger's `delivery`.

    Raises:
        DeliveryIdError: the id is missing and required, or cannot be used.
    """
    delivery_id, place = find_delivery_id(form, sent, body)
    digest = digest_body(sent.body)
    if delivery_id is None and rule == "required":
        raise DeliveryIdError(place, f"The delivery has no id: send one as {place}.")
    if delivery_id is None and rule == "body":
        delivery_id = digest
    return None if delivery_id is None else Once("hook", trigger_id, delivery_id, digest, field=place)


def _require_usable(given: JsonValue, place: str) -> str:
    if not isinstance(given, str) or not _VISIBLE.fullmatch(given):
        raise DeliveryIdError(place, "A delivery id is visible ASCII of 1 to 255 characters.")
    return given
