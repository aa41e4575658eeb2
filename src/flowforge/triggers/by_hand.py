"""What `trigger` holds when a person fires a trigger."""

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.triggers.form_trigger import make_form_data
from flowforge.triggers.registry import get_kind
from flowforge.triggers.types import Trigger


def make_data(trigger: Trigger, payload: JsonValue, *, actor: str, address: str | None) -> JsonObject:
    """The payload is a webhook's body, a form's values, or has the kind's fields. `address`: where the person is.

    Raises:
        FormInvalidError: the form does not take the values.
    """
    holds = get_kind(trigger.kind).definition.holds
    empty: JsonObject = dict.fromkeys(holds)
    if trigger.kind == "webhook":
        return empty | {"body": payload, "headers": {}, "query": {}, "method": "POST", "remote_address": address}
    if trigger.kind == "form":
        return make_form_data(trigger.config, payload, actor)
    given = payload if isinstance(payload, dict) else {}
    return empty | {name: value for name, value in given.items() if name in holds}
