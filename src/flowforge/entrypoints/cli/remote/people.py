"""`flowforge users` and `flowforge keys` on a server."""

from typing import cast

from flowforge.entrypoints.cli.commands import keys, users
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import NotFoundError, NotPermittedError
from flowforge.kit.values import JsonObject
from flowforge.language.times import parse_timestamp_ms

_USER = ("id", "email", "name", "status", "created_at")
_KEY = ("id", "prefix", "name", "user_id", "permissions", "tier", "expires_at")


def _describe_user(user: JsonObject) -> JsonObject:
    return {name: user[name] for name in _USER}


def create_user(server: Server, email: str, *, role: str | None, name: str) -> None:
    body: JsonObject = {"email": email, "name": name or email.partition("@")[0]}
    user = cast("JsonObject", server.ask("POST", "/users", body if role is None else body | {"role": role}))
    try:
        link = _make_link(server, user)
    except NotPermittedError:
        # The person is there all the same; only signed-in people hand out links.
        told = f"{user['email']} is made. For a link that lets the person in: sign in with `flowforge login`, then `users link`."
        server.output.confirm(told, _describe_user(user))
        return
    server.output.say(f"{user['email']} is made. This link signs in, once, within 24 hours:")
    _print_link(server, user, link)


def list_user(server: Server) -> None:
    rows = map(_describe_user, server.list_rows("/users", {"sort": "email"}))
    empty = "There is nobody; `flowforge users create EMAIL --role owner` makes the first."
    server.output.write_rows(rows, users.COLUMNS, empty=empty)


def link_user(server: Server, email: str) -> None:
    user = _find_user(server, email)
    if user["status"] == "disabled":
        server.output.say(
            f"{user['email']} is disabled; the link is good once `flowforge users enable {user['email']}` was done."
        )
    _print_link(server, user, _make_link(server, user))


def disable_user(server: Server, email: str) -> None:
    user = cast("JsonObject", server.ask("POST", make_path("users", str(_find_user(server, email)["id"]), "disable")))
    server.output.confirm(f"{user['email']} is disabled.", _describe_user(user))


def enable_user(server: Server, email: str) -> None:
    user = cast("JsonObject", server.ask("POST", make_path("users", str(_find_user(server, email)["id"]), "enable")))
    server.output.confirm(f"{user['email']} is enabled.", _describe_user(user))


def _find_user(server: Server, text: str) -> JsonObject:
    if text.startswith("usr_"):
        return server.get(make_path("users", text))
    found = server.list_rows("/users", {"where": [f"email:eq:{text}"]})
    if not found:
        raise NotFoundError(f"There is no user {text}; `flowforge users list` shows those that there are.")
    return found[0]


def _make_link(server: Server, user: JsonObject) -> str:
    made = cast("JsonObject", server.ask("POST", make_path("users", str(user["id"]), "password-link")))
    return str(made["link"])


def _print_link(server: Server, user: JsonObject, link: str) -> None:
    if server.output.is_json:
        server.output.write_line(_describe_user(user) | {"link": link})
    else:
        server.output.write_text(link)


def _describe_key(key: JsonObject) -> JsonObject:
    is_expired = parse_timestamp_ms(str(key["expires_at"])) <= SystemClock().now_ms()
    state = "revoked" if key["revoked_at"] is not None else "expired" if is_expired else "good"
    return {name: key[name] for name in _KEY} | {"state": state}


def create_key(server: Server, name: str, *, email: str, permissions: list[str], expires_in: str, tier: str | None) -> None:
    me = server.get("/me")
    if email not in (me["id"], me["email"]):
        raise UsageError("On a server everybody makes their own keys; name yourself with --user.")
    body: JsonObject = {"name": name, "permissions": [*permissions], "expires_in": expires_in}
    made = cast("JsonObject", server.ask("POST", "/keys", body if tier is None else body | {"tier": tier}))
    if server.output.is_json:
        described = _describe_key(server.get(make_path("keys", str(made["id"]))))
        server.output.write_line(described | {"key": made["key"]})
        return
    server.output.say("Keep it: it is not shown again.")
    server.output.write_text(str(made["key"]))


def list_key(server: Server) -> None:
    rows = map(_describe_key, server.list_rows("/keys"))
    server.output.write_rows(rows, keys.COLUMNS, empty="There is no key; `flowforge keys create NAME` makes one.")


def revoke_key(server: Server, key: str) -> None:
    found = next((row for row in server.list_rows("/keys") if key in (row["id"], row["prefix"])), None)
    if found is None:
        raise NotFoundError(f"There is no key {key}; `flowforge keys list` shows those that there are.")
    server.ask("DELETE", make_path("keys", str(found["id"])))
    server.output.confirm(f"The key {found['prefix']} is revoked.", _describe_key(found) | {"state": "revoked"})
