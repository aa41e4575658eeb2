"""Parameters in the journal: secrets stand beside them by name, so that data which looks like a secret stays data."""

from typing import cast

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import SecretText


def pack_parameters(parameters: JsonObject) -> JsonObject:
    """`{"parameters": plain, "secrets": [[path, parts], …]}`: each `SecretText` is null in the plain value."""
    secrets: list[JsonValue] = []
    plain = _strip(parameters, [], secrets)
    return {"parameters": plain, "secrets": secrets} if secrets else {"parameters": plain}


def _strip(value: object, path: list[str | int], secrets: list[JsonValue]) -> JsonValue:
    if isinstance(value, SecretText):
        secrets.append([list(path), [[is_secret, text] for is_secret, text in value.parts]])
        return None
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {name: _strip(item, [*path, name], secrets) for name, item in fields.items()}
    if isinstance(value, list):
        return [_strip(item, [*path, place], secrets) for place, item in enumerate(cast("list[object]", value))]
    return cast("JsonValue", value)


def unpack_parameters(packed: JsonObject) -> JsonObject:
    """The inverse of `pack_parameters`."""
    parameters = cast("JsonObject", packed["parameters"])
    for entry in cast("list[list[list[str | int]]]", packed.get("secrets", [])):
        path, parts = entry
        target: object = parameters
        for place in path[:-1]:
            target = cast("dict[str | int, object]", target)[place]
        text = SecretText(tuple((bool(part[0]), str(part[1])) for part in cast("list[list[object]]", parts)))
        cast("dict[str | int, object]", target)[path[-1]] = text
    return parameters


def secret_names(value: object) -> set[str]:
    """Names of all secrets inside evaluated parameters."""
    if isinstance(value, SecretText):
        return {text for is_secret, text in value.parts if is_secret}
    if isinstance(value, dict):
        return {name for item in cast("dict[str, object]", value).values() for name in secret_names(item)}
    if isinstance(value, list):
        return {name for item in cast("list[object]", value) for name in secret_names(item)}
    return set()


def reveal(value: object, secrets: dict[str, str]) -> JsonValue:
    """Evaluated parameters with the secrets' values in them, for the operation's eyes only."""
    if isinstance(value, SecretText):
        return "".join(secrets[text] if is_secret else text for is_secret, text in value.parts)
    if isinstance(value, dict):
        return {name: reveal(item, secrets) for name, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [reveal(item, secrets) for item in cast("list[object]", value)]
    return cast("JsonValue", value)
