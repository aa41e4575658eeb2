"""The kind `webhook`."""

from collections.abc import Sequence
from typing import Final

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.triggers import TRIGGER_KINDS
from flowforge.triggers.kinds import Kind


def make_input(trigger: JsonObject) -> JsonValue:
    """The body; an empty one is an empty object."""
    body = trigger["body"]
    return {} if body is None else body


def list_warnings(parameters: JsonObject) -> Sequence[str]:
    """What a webhook without a proof of its sender should know."""
    if parameters.get("auth") == "none" and not parameters.get("addresses"):
        return ["Everybody who knows the path can start runs; give `auth` or `addresses`."]
    return []


WEBHOOK: Final = Kind(
    definition=TRIGGER_KINDS["webhook"],
    make_input=make_input,
    examples=(
        {"path": "orders", "auth": {"hmac": "${{ secrets.SHOP_HMAC }}"}},
        {"path": "github", "auth": {"github": "${{ secrets.GITHUB_HOOK }}"}, "addresses": ["192.30.252.0/22"]},
        {"path": "ask/price", "auth": {"bearer": "${{ secrets.PARTNER }}"}, "respond": "result"},
    ),
    warn=list_warnings,
)
