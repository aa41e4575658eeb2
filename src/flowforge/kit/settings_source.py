"""Where settings come from: the environment, before files it names, before config.toml in the data folder, before defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final, cast

import annotated_types
from pydantic import SecretStr
from pydantic import ValidationError as PydanticError
from pydantic.fields import FieldInfo

from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.limits import Limits
from flowforge.kit.settings import DEFAULT_DATA, FileRoot, Settings
from flowforge.kit.units import format_duration, format_size

PREFIX: Final = "FLOWFORGE_"
CONFIG_FILE: Final = "config.toml"
_FILE_MAX_BYTES: Final = 64 * 1024


class SettingsError(ValidationError):
    """A setting is unknown or bad; the message mends the first fault, the details name every one."""

    def __init__(self, details: list[Detail]) -> None:
        super().__init__(details[0].message, details)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting, for people: names and texts only. `value` and `origin` are those of the process that asked."""

    name: str
    kind: str
    default: str
    bounds: str
    description: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a setting lives in the model: its field, and whether that is one of `limits`."""

    attribute: str
    is_limit: bool
    field: FieldInfo


@dataclass(frozen=True, slots=True)
class _Given:
    """What was found for one setting, and where: `environment`, `file` or `config.toml`."""

    value: object
    origin: str


def load_settings(environ: Mapping[str, str], *, data: Path | None = None) -> Settings:
    """Read every `FLOWFORGE_*` variable of `environ`, then config.toml of the data folder; `data` beats `FLOWFORGE_DATA`.

    Raises:
        SettingsError: a variable or a key of config.toml is unknown or bad.
    """
    return _build(_gather(environ, data))


def list_given(environ: Mapping[str, str], *, data: Path | None = None) -> dict[str, object]:
    """What is said of settings, by their names, whether it can be used or not. Keys and passwords are in it as they are."""
    faults: list[Detail] = []
    given = _read_environment(environ, faults)
    folder = data or Path(str(given["DATA"].value if "DATA" in given else DEFAULT_DATA)).expanduser()
    return {name: one.value for name, one in (_read_config(folder / CONFIG_FILE, faults) | given).items()}


def describe_settings(environ: Mapping[str, str] | None = None, *, data: Path | None = None) -> list[SettingRow]:
    """A row for each setting, in the order of the code. Without `environ`, values are the defaults. Keys are never shown.

    Raises:
        SettingsError: as `load_settings`.
    """
    given: dict[str, _Given] = {} if environ is None else _gather(environ, data)
    settings = _build(given)
    return [_describe(name, place, settings, given) for name, place in _list_places().items()]


@cache
def _list_places() -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    for attribute, field in Settings.model_fields.items():
        if attribute != "limits":
            places[str(field.validation_alias)] = _Place(attribute, is_limit=False, field=field)
    for attribute, field in Limits.model_fields.items():
        places[str(field.validation_alias)] = _Place(attribute, is_limit=True, field=field)
    return places


def _gather(environ: Mapping[str, str], data: Path | None) -> dict[str, _Given]:
    faults: list[Detail] = []
    given = _read_environment(environ, faults)
    if data is not None:
        given["DATA"] = _Given(str(data), "--data")
    folder = Path(str(given["DATA"].value if "DATA" in given else DEFAULT_DATA)).expanduser()
    given = _read_config(folder / CONFIG_FILE, faults) | given
    if faults:
        raise SettingsError(faults)
    return given


def _read_environment(environ: Mapping[str, str], faults: list[Detail]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX)
        base = name.removesuffix("_FILE")
        if name in _list_places():
            given[name] = _Given(environ[variable], "environment")
        elif base in _list_places() and PREFIX + base in environ:
            faults.append(_fault(variable, f"{variable} and {PREFIX}{base} are both set; keep one of them.", "setting_invalid"))
        elif base in _list_places():
            _read_value_file(base, variable, Path(environ[variable]).expanduser(), given, faults)
        else:
            faults.append(_explain_unknown(name, list(_list_places()), PREFIX, "Unset it"))
    return given


def _read_value_file(base: str, variable: str, path: Path, given: dict[str, _Given], faults: list[Detail]) -> None:
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_MAX_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else "it is no text"
        faults.append(_fault(variable, f"{variable} names {path}, which cannot be read: {reason}.", "setting_invalid"))
        return
    given[base] = _Given(text, "file")


def _read_config(path: Path, faults: list[Detail]) -> dict[str, _Given]:
    if not path.exists():
        return {}
    import tomllib  # start-up does not pay for a file that is seldom there (6 ms)

    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as fault:
        faults.append(_fault(CONFIG_FILE, f"{path} cannot be read: {fault.strerror}.", "setting_invalid"))
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        faults.append(_fault(CONFIG_FILE, f"{path} is no TOML: {fault}.", "setting_invalid"))
        return {}
    known = [name.lower() for name in _list_places() if name != "DATA"]
    faults.extend(_explain_unknown(key, known, "", f"Remove it from {path}") for key in table if key not in known)
    return {key.upper(): _Given(value, CONFIG_FILE) for key, value in table.items() if key in known}


def _explain_unknown(name: str, known: list[str], prefix: str, otherwise: str) -> Detail:
    import difflib  # start-up does not pay for what only a mistake needs (7 ms)

    match = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    suggestion = prefix + match[0] if match else None
    advice = f": did you mean {suggestion}?" if suggestion else f". {otherwise}; `flowforge settings` lists what there is."
    return _fault(prefix + name, f"There is no setting {prefix}{name}{advice}", "setting_unknown", suggestion)


def _fault(field: str, message: str, code: str, suggestion: str | None = None) -> Detail:
    return Detail(field=field, message=message, code=code, suggestion=suggestion)


def _build(given: Mapping[str, _Given]) -> Settings:
    plain: dict[str, object] = {}
    limits: dict[str, object] = {}
    for name, one in given.items():
        (limits if _list_places()[name].is_limit else plain)[name] = one.value
    try:
        return Settings.model_validate({**plain, "limits": limits})
    except PydanticError as fault:
        raise SettingsError([_explain_bad(line["loc"], line["type"], line["msg"], given) for line in fault.errors()]) from None


def _explain_bad(location: tuple[int | str, ...], kind: str, message: str, given: Mapping[str, _Given]) -> Detail:
    reason = message.removeprefix("Value error, ")
    name = next((str(part) for part in location if part in given), None)
    if name is None:
        return _fault("", f"The settings do not fit together: {reason}.", "setting_invalid")
    shown = _show_setting(name, given[name].origin)
    is_hidden = "SecretStr" in str(_list_places()[name].field.annotation)
    value = "" if is_hidden else f" {str(given[name].value)[:60]!r}"
    if kind == "value_error":
        return _fault(name, f"{shown}{value} is refused: {reason}.", "setting_invalid")
    return _fault(name, f"{shown}{value} is refused: it must be {_describe_bounds(_list_places()[name])}.", "setting_invalid")


def _show_setting(name: str, origin: str) -> str:
    return f"{name.lower()} in {CONFIG_FILE}" if origin == CONFIG_FILE else PREFIX + name


def _describe(name: str, place: _Place, settings: Settings, given: Mapping[str, _Given]) -> SettingRow:
    owner = settings.limits if place.is_limit else settings
    value = cast("object", getattr(owner, place.attribute))
    return SettingRow(
        name=PREFIX + name,
        kind=_name_kind(place),
        default=_show_value(place.attribute, cast("object", place.field.default)),
        bounds=_describe_bounds(place),
        description=place.field.description or "",
        value=_show_value(place.attribute, value),
        origin=given[name].origin if name in given else "default",
    )


def _name_kind(place: _Place) -> str:
    if place.attribute.endswith("_ms"):
        return "duration"
    if place.attribute.endswith("_bytes"):
        return "size"
    if place.attribute.endswith("_url"):
        return "url"
    default = cast("object", place.field.default)
    if isinstance(default, bool):
        return "switch"
    if isinstance(default, int):
        return "number"
    if isinstance(default, tuple):
        return "list"
    return "key" if default is None else "text"


def _describe_bounds(place: _Place) -> str:
    default = cast("object", place.field.default)
    if isinstance(default, StrEnum):
        return " or ".join(member.value for member in type(default))
    if isinstance(default, bool):
        return "on or off"
    least = next((mark.ge for mark in place.field.metadata if isinstance(mark, annotated_types.Ge)), None)
    most = next((mark.le for mark in place.field.metadata if isinstance(mark, annotated_types.Le)), None)
    if least is None:
        return ""
    shown = _show_value(place.attribute, least)
    return f"{shown} to {_show_value(place.attribute, most)}" if most is not None else f"{shown} or more"


def _show_value(attribute: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int) and attribute.endswith("_ms"):
        return format_duration(value) if value else "0"
    if isinstance(value, int) and attribute.endswith("_bytes"):
        return format_size(value)
    if isinstance(value, tuple):
        return ", ".join(_show_item(item) for item in cast("tuple[object, ...]", value))
    return str(value)


def _show_item(item: object) -> str:
    return f"{item.name}={item.folder}" if isinstance(item, FileRoot) else str(item)
