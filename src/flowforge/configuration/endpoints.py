"""Settings and feature flags over HTTP."""

from collections.abc import Sequence
from typing import Annotated, Final, cast

from fastapi import Path, Response
from pydantic import Field, ValidationError

from flowforge.audit.service import record
from flowforge.configuration import service
from flowforge.configuration.errors import FlagNotFoundError
from flowforge.configuration.ports import OnSettingsChanged
from flowforge.configuration.service import Flag
from flowforge.configuration.types import OidcProvider, Origin, RuntimeSettings
from flowforge.kit.errors import ValidationError as InvalidError
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, Prose
from flowforge.web.calls import Call, CallIn
from flowforge.web.conditions import quote_etag
from flowforge.web.errors import PreconditionFailedError, PreconditionRequiredError
from flowforge.web.faults import read_faults
from flowforge.web.headers import IfMatchIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router
from flowforge.web.short_lists import ShortForm, short_flag, short_text

settings: Final = Router("settings", "/settings")
flags: Final = Router("settings", "/feature-flags")
ROUTERS: Final[Sequence[Router]] = (settings, flags)

FLAGS: Final = ShortForm(
    "feature_flags",
    filters={"name": short_text(lambda flag: flag.name), "enabled": short_flag(lambda flag: flag.is_enabled)},
    sorts={"name": lambda flag: flag.name, "updated_at": lambda flag: (flag.updated_at_ms, flag.name)},
    default="name",
    search={"name": lambda flag: flag.name, "description": lambda flag: flag.description},
)
_CONDITIONS: Final = [PreconditionRequiredError, PreconditionFailedError]
FlagNameIn = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_.-]{0,62}$", examples=["new-inbox"])]


class SettingsChange(Body):
    """What is left out stays; null is the default again."""

    cors_origins: list[Origin] | None = Field(default=None, max_length=100)
    oidc_providers: list[OidcProvider] | None = Field(default=None, max_length=20)
    announcement: Prose | None = Field(default=None, max_length=1_000)
    default_role: str | None = None


class CorsBody(Body):
    origins: list[Origin] = Field(max_length=100, examples=[["https://app.example.com"]])


class CorsAnswer(Answer):
    origins: list[str]


class FlagBody(Body):
    enabled: bool
    description: Prose = ""
    workspaces: list[str] = Field(default=[], max_length=1_000, description="Where it is on; empty: everywhere.")


class FlagAnswer(Answer):
    name: str
    enabled: bool
    description: str
    workspaces: list[str]
    updated_at: str
    updated_by: str


@settings.get("", "settings:read", summary="The settings that are changed at run time")
async def read_settings(call: CallIn, response: Response) -> RuntimeSettings:
    async with call.read() as session:
        present, etag = await service.read_settings(session)
    response.headers["etag"] = quote_etag(etag)
    return present


@settings.patch("", "settings:manage", errors=_CONDITIONS, summary="Change settings")
async def change_settings(call: CallIn, response: Response, body: SettingsChange, if_match: IfMatchIn = None) -> RuntimeSettings:
    change = cast("JsonObject", body.model_dump(mode="json", exclude_unset=True))
    return await _change(call, response, change, if_match)


@settings.get("/cors", "settings:read", summary="The origins that may call the API from a browser")
async def read_cors(call: CallIn, response: Response) -> CorsAnswer:
    async with call.read() as session:
        present, etag = await service.read_settings(session)
    response.headers["etag"] = quote_etag(etag)
    return CorsAnswer(origins=list(present.cors_origins))


@settings.put("/cors", "settings:manage", errors=_CONDITIONS, summary="Set the origins that may call the API from a browser")
async def set_cors(call: CallIn, response: Response, body: CorsBody, if_match: IfMatchIn = None) -> CorsAnswer:
    changed = await _change(call, response, {"cors_origins": list(body.origins)}, if_match)
    return CorsAnswer(origins=list(changed.cors_origins))


@flags.get("", "settings:read", summary="All feature flags")
async def list_flags(call: CallIn, asked: Annotated[Asked, make_asked(FLAGS)]) -> Page[FlagAnswer]:
    """By name."""
    async with call.read() as session:
        kept, following = FLAGS.page(await service.list_flags(session), asked)
    return Page(data=[_show_flag(flag) for flag in kept], next_cursor=following)


@flags.get("/{name}", "settings:read", errors=[FlagNotFoundError], summary="A feature flag")
async def get_flag(call: CallIn, response: Response, name: FlagNameIn) -> FlagAnswer:
    async with call.read() as session:
        flag = await service.get_flag(session, name)
    response.headers["etag"] = quote_etag(flag.etag)
    return _show_flag(flag)


@flags.put("/{name}", "settings:manage", errors=_CONDITIONS, summary="Make or change a feature flag")
async def set_flag(call: CallIn, response: Response, name: FlagNameIn, body: FlagBody, if_match: IfMatchIn = None) -> FlagAnswer:
    wanted = cast("JsonObject", body.model_dump(mode="json"))
    async with call.change() as session:
        before, after = await service.set_flag(session, call.actor, name, wanted, if_match=if_match, at_ms=call.now_ms)
        had: JsonObject | None = None if before is None else {"enabled": before.is_enabled, "workspaces": list(before.workspaces)}
        now: JsonObject = {"enabled": after.is_enabled, "workspaces": list(after.workspaces)}
        await record(session, call, "feature_flag.set", "feature_flag", name, before=had, after=now, workspace_id="")
    response.headers["etag"] = quote_etag(after.etag)
    return _show_flag(after)


async def _change(call: Call, response: Response, change: JsonObject, if_match: str | None) -> RuntimeSettings:
    async with call.change() as session:
        try:
            before, after, etag = await service.change_settings(session, call.actor, change, if_match=if_match, at_ms=call.now_ms)
        except ValidationError as fault:
            raise InvalidError("A setting cannot be used as it is.", read_faults(fault.errors())) from None
        had, now = before.model_dump(mode="json"), after.model_dump(mode="json")
        await record(
            session,
            call,
            "settings.updated",
            "settings",
            "runtime",
            before={name: had[name] for name in change},
            after={name: now[name] for name in change},
            workspace_id="",
        )
    call.port(OnSettingsChanged)(after)
    response.headers["etag"] = quote_etag(etag)
    return after


def _show_flag(flag: Flag) -> FlagAnswer:
    return FlagAnswer(
        name=flag.name,
        enabled=flag.is_enabled,
        description=flag.description,
        workspaces=list(flag.workspaces),
        updated_at=format_timestamp_ms(flag.updated_at_ms),
        updated_by=flag.updated_by,
    )
