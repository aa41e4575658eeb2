"""`flowforge users` and `flowforge keys` on a server."""

from typing import cast

from flowforge.entrypoints.cli.commands import keys, users
from flowforge.entrypoints.cli.commands.users_changing import SESSION_COLUMNS
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
    user = find_user(server, email)
    if user["status"] == "disabled":
        server.output.say(
            f"{user['email']} is disabled; the link is good once `flowforge users enable {user['email']}` was done."
        )
    _print_link(server, user, _make_link(server, user))


def disable_user(server: Server, email: str) -> None:
    user = cast("JsonObject", server.ask("POST", make_path("users", str(find_user(server, email)["id"]), "disable")))
    server.output.confirm(f"{user['email']} is disabled.", _describe_user(user))


def enable_user(server: Server, email: str) -> None:
    user = cast("JsonObject", server.ask("POST", make_path("users", str(find_user(server, email)["id"]), "enable")))
    server.output.confirm(f"{user['email']} is enabled.", _describe_user(user))


def find_user(server: Server, text: str, *, include_deleted: bool = False) -> JsonObject:
    """A person by id or email. Raises NotFoundError."""
    if text.startswith("usr_"):
        return server.get(make_path("users", text))
    found = server.list_rows("/users", {"where": [f"email:eq:{text}"], "include_deleted": include_deleted})
    if not found:
        raise NotFoundError(f"There is no user {text}; `flowforge users list` shows those that there are.")
    return found[0]


def show_user(server: Server, email: str) -> None:
    server.output.write_object(_describe_user(find_user(server, email)))


def delete_user(server: Server, email: str, *, is_permanent: bool) -> None:
    user = find_user(server, email)
    server.ask("DELETE", make_path("users", str(user["id"])), query={"permanent": is_permanent})
    word = "erased" if is_permanent else "deleted"
    server.output.confirm(f"{user['email']} is {word}.", {"id": user["id"], "status": word})


def restore_user(server: Server, email: str) -> None:
    found = find_user(server, email, include_deleted=True)
    user = cast("JsonObject", server.ask("POST", make_path("users", str(found["id"]), "restore")))
    server.output.confirm(f"{user['email']} is back.", _describe_user(user))


def sign_out_user(server: Server, email: str) -> None:
    user = find_user(server, email)
    server.ask("DELETE", make_path("users", str(user["id"]), "sessions"))
    server.output.confirm(f"{user['email']} is signed out everywhere.", _describe_user(user))


def sessions_user(server: Server, email: str) -> None:
    rows = server.list_rows(make_path("users", str(find_user(server, email)["id"]), "sessions"))
    server.output.write_rows(rows, SESSION_COLUMNS, empty="Nowhere.")


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


def show_key(server: Server, key: str) -> None:
    server.output.write_object(_describe_key(_find_key(server, key)))


def rename_key(server: Server, key: str, name: str) -> None:
    found = _find_key(server, key)
    renamed = cast("JsonObject", server.ask("PATCH", make_path("keys", str(found["id"])), {"name": name}))
    server.output.confirm(f"The key {renamed['prefix']} is called {name}.", _describe_key(renamed))


def usage_key(server: Server, key: str) -> None:
    rows = server.list_rows(make_path("keys", str(_find_key(server, key)["id"]), "usage"))
    server.output.write_rows(rows, keys.USAGE_COLUMNS, empty="It was not used in the last 90 days.")


def _find_key(server: Server, key: str) -> JsonObject:
    found = next((row for row in server.list_rows("/keys") if key in (row["id"], row["prefix"])), None)
    if found is None:
        raise NotFoundError(f"There is no key {key}; `flowforge keys list` shows those that there are.")
    return found


def revoke_key(server: Server, key: str) -> None:
    found = _find_key(server, key)
    server.ask("DELETE", make_path("keys", str(found["id"])))
    server.output.confirm(f"The key {found['prefix']} is revoked.", _describe_key(found) | {"state": "revoked"})
