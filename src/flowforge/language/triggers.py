"""The kinds of triggers: their parameters, and what can be said about them without a server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from typing import Final

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import At, Sink
from flowforge.language.positions import Path
from flowforge.language.shapes import (
    TIME_PATTERN,
    Choice,
    Condition,
    Constant,
    ConstantShape,
    Duration,
    Either,
    Field,
    Flag,
    Group,
    ListOf,
    Templated,
    Text,
    Whole,
    is_time,
    show,
)

CRON_CHARACTERS_MAX: Final = 256
WALL_TIME_PATTERN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?"
"""A time without a zone."""
_SHARED_SECRETS: Final = ("hmac", "standard", "github", "stripe", "slack", "bearer")
_RESERVED_PATHS: Final = ("connectors/", "entitlements/")


@dataclass(frozen=True, slots=True)
class TriggerKind:
    """One kind. `secret_fields` may hold secrets; `expression_fields` may read `trigger`; `holds` says what `trigger` has."""

    name: str
    title: str
    description: str
    parameters: Group
    holds: tuple[str, ...]
    secret_fields: frozenset[str] = frozenset()
    expression_fields: frozenset[str] = frozenset()


class CronText(ConstantShape):
    """Five fields, six with the seconds first, or one of the short names. Whether six are allowed is a setting of the server."""

    _NAMES: Final = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, str):
            sink.add("type", path, f"A cron expression like `0 7 * * 1-5` is expected here, not {show(value)}.")
        elif len(value) > CRON_CHARACTERS_MAX:
            sink.add("cron_length", path, f"A cron expression has at most {CRON_CHARACTERS_MAX} characters.")
        elif not value.isascii() or not re.fullmatch(r"[ -~\t]+", value):
            sink.add("cron_syntax", path, "A cron expression has plain ASCII characters only.")
        elif value.strip().startswith("@"):
            self._check_name(value.strip().lower(), path, sink)
        elif len(value.split()) not in (5, 6):
            message = (
                f"{show(value)} has {len(value.split())} fields; a cron expression has five: minute, hour, day, month, weekday; "
                "or six, with the seconds first."
            )
            sink.add("cron_fields", path, message)

    def _check_name(self, name: str, path: Path, sink: Sink) -> None:
        if name not in self._NAMES:
            sink.add("cron_syntax", path, f"{show(name)} is not one of {', '.join(self._NAMES)}.")

    def schema(self) -> JsonObject:
        return {"type": "string", "maxLength": CRON_CHARACTERS_MAX, "examples": ["0 7 * * 1-5", "*/10 * * * * *"]}


class WallTime(ConstantShape):
    """A moment: RFC 3339 with a zone, or what the wall clock shows in the schedule's."""

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, str) or not (_is_wall_time(value) or is_time(value)):
            message = f"{show(value)} is no time; write it with a zone (2030-01-31T07:00:00Z), or without one in `timezone`."
            sink.add("time", path, message)

    def schema(self) -> JsonObject:
        return {
            "type": "string",
            "pattern": f"^(?:{TIME_PATTERN}|{WALL_TIME_PATTERN})$",
            "examples": ["2030-01-31T07:00:00Z", "2030-01-31T07:00"],
        }


def _is_wall_time(text: str) -> bool:
    if not re.fullmatch(WALL_TIME_PATTERN, text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_webhook(value: JsonObject, path: Path, sink: Sink) -> None:
    hook = value.get("path")
    if isinstance(hook, str) and hook.startswith(_RESERVED_PATHS):
        sink.add("value", (*path, "path"), f"Paths that begin with {' or '.join(_RESERVED_PATHS)} are reserved.")
    addresses = value.get("addresses")
    for index, address in enumerate(addresses if isinstance(addresses, list) else []):
        if isinstance(address, str) and not _is_network(address):
            message = f"{show(address)} is neither an address nor a network like 192.0.2.0/24."
            sink.add("value", (*path, "addresses", index), message)


def _is_network(text: str) -> bool:
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        return False
    return "," not in text


def _check_auth(value: JsonObject, path: Path, sink: Sink) -> None:
    if len(value) != 1:
        sink.add("one_of", path, "`auth` names exactly one way to prove who is calling.", at=At.KEY)


def _check_schedule(value: JsonObject, path: Path, sink: Sink) -> None:
    if len([name for name in ("cron", "every", "at") if name in value]) != 1:
        sink.add("one_of", path, "A schedule has exactly one of `cron`, `every` and `at`.", at=At.KEY)


_SECRET: Final = Templated(text_only=True)
_ONE_OR_TWO_SECRETS: Final = Either((((str,), _SECRET), ((list,), ListOf(_SECRET, 1))), "a secret, or [new, old]")
_STRINGS: Final = ListOf(Text())

_AUTH: Final = Either(
    (
        ((str,), Choice(("none",))),
        (
            (dict,),
            Group(
                (
                    *(Field(name, _ONE_OR_TWO_SECRETS, f"Signed or sent as `{name}` does it.") for name in _SHARED_SECRETS),
                    Field(
                        "basic",
                        Group((Field("user", _SECRET, "The name.", True), Field("password", _SECRET, "The password.", True))),
                        "HTTP basic authentication.",
                    ),
                    Field(
                        "api_key",
                        Group((Field("header", Text(), "The header's name.", True), Field("value", _SECRET, "The key.", True))),
                        "A key in a header.",
                    ),
                ),
                (_check_auth,),
            ),
        ),
    ),
    "none, or an object with one way to prove who is calling",
)

_WEBHOOK: Final = TriggerKind(
    name="webhook",
    title="Webhook",
    description="An HTTP request to a path of its own.",
    parameters=Group(
        (
            Field(
                "path",
                Text(r"[a-z0-9-]+(/[a-z0-9-]+)*", 200, hint="a path has small letters, digits, hyphens and slashes"),
                "The path behind `/hooks/`.",
                is_required=True,
            ),
            Field("auth", _AUTH, "How the caller proves who it is, or `none`.", is_required=True),
            Field("addresses", _STRINGS, "Addresses or networks (CIDR) that may call."),
            Field("respond", Choice(("accepted", "result", "step")), "What the caller gets.", default="accepted"),
            Field("delivery", Choice(("optional", "required", "body")), "What a missing delivery id means.", default="optional"),
        ),
        (_check_webhook,),
    ),
    holds=("body", "headers", "query", "method", "remote_address", "delivery_id"),
    secret_fields=frozenset({"auth"}),
)
_SCHEDULE: Final = TriggerKind(
    name="schedule",
    title="Schedule",
    description="A time table.",
    parameters=Group(
        (
            Field(
                "cron", CronText(), "Five fields, in the time zone; six, seconds first, where LIMIT_CRON_MIN is below a minute."
            ),
            Field("every", Duration(), "A fixed pause."),
            Field("at", WallTime(), "One moment; without a zone, in the time zone."),
            Field(
                "timezone",
                Text(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}", 64, hint="name a zone like Europe/Berlin"),
                "IANA name.",
                default="UTC",
            ),
            Field("start", WallTime(), "Not before."),
            Field("end", WallTime(), "Not after."),
            Field("jitter", Duration(), "Spreads the starts at random."),
            Field("calendar", Text(), "Days that count or do not, by the calendar's name."),
            Field(
                "missed", Choice(("all", "latest", "skip")), "What becomes of slots that nobody was awake for.", default="latest"
            ),
            Field("overlap", Choice(("allow", "skip", "queue")), "What happens while the last run goes on.", default="allow"),
        ),
        (_check_schedule,),
    ),
    holds=("slot", "late"),
)
_FILE: Final = TriggerKind(
    name="file",
    title="File",
    description="A change in a watched folder.",
    parameters=Group(
        (
            Field("path", Text(), "The folder, below one of the file roots.", is_required=True),
            Field("patterns", _STRINGS, "Names to look for, with `*` and `?`."),
            Field("events", ListOf(Choice(("created", "changed", "deleted"))), "Which changes count."),
            Field("recursive", Flag(), "Whether folders below count."),
            Field("ignore", _STRINGS, "Names to pass over."),
            Field("debounce", Duration(), "Changes closer together than this count as one."),
            Field("stable_for", Duration(), "How long a file must not have grown."),
        )
    ),
    holds=("path", "event", "file"),
)
_EVENT: Final = TriggerKind(
    name="event",
    title="Event",
    description="An event of this installation or one that was sent to it.",
    parameters=Group(
        (
            Field("type", Text(), "The event's type.", is_required=True),
            Field("where", Condition(), "Only events for which this holds; reads `trigger`."),
        )
    ),
    holds=("event",),
    expression_fields=frozenset({"where"}),
)
_EMAIL: Final = TriggerKind(
    name="email",
    title="Email",
    description="A message in a mailbox.",
    parameters=Group(
        (
            Field("host", Text(), "The IMAP server.", is_required=True),
            Field("port", Whole(1, 65_535), "Its port.", default=993),
            Field("user", Text(), "The account.", is_required=True),
            Field("password", _SECRET, "Its password: a secret.", is_required=True),
            Field("folder", Text(), "The folder.", default="INBOX"),
        )
    ),
    holds=("from", "to", "subject", "text", "html", "attachments"),
    secret_fields=frozenset({"password"}),
)
_FORM: Final = TriggerKind(
    name="form",
    title="Form",
    description="A form that a person fills in to start a run.",
    parameters=Group(
        (
            Field("title", Text(), "The form's title."),
            Field("description", Text(max_characters=10_000), "What people should know."),
            Field("fields", ListOf(Constant(object_only=True)), "The form's fields; without them, made from `input`."),
            Field("schema", Constant(object_only=True), "JSON Schema of the form."),
            Field("layout", Constant(object_only=True), "How the form is laid out."),
        )
    ),
    holds=("values", "by"),
)

TRIGGER_KINDS: Final[Mapping[str, TriggerKind]] = {
    kind.name: kind for kind in (_WEBHOOK, _SCHEDULE, _FILE, _EVENT, _EMAIL, _FORM)
}
COMMON_TRIGGER_FIELDS: Final = ("kind", "id", "fired_at")
