"""`flowforge keyring`."""

from typing import cast

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.output import Output
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.kit.keyring import draw_key, make_key_id, rotate_keyring
from flowforge.kit.values import JsonObject
from flowforge.live.subscriptions import reencrypt_subscriptions
from flowforge.vault.rotation import Rotation, reencrypt_all, tell_reencrypted, tell_rotated

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="The keys that secrets are sealed with."
)


@app.callback()
def begin() -> None:
    """Makes `rotate` a command of its own: more than one may come."""


@app.command()
def rotate(ctx: typer.Context) -> None:
    """Make a new key and seal all secrets with it, while everything goes on working.

    May be killed: the next call goes on with what is left, and makes no further key for it. The earlier keys stay in keys/keyring.json,
    for backups and for sessions. Where ENCRYPTION_KEY gives the key, only what another key has sealed is sealed anew.
    """
    frame = frame_of(ctx)
    with open_place(frame) as place:
        settings = place.installation.settings
        done = _reencrypt(frame, place)
        if settings.encryption_key is None and not done.changed and not done.others:
            if place.installation.database_url.is_server:
                raise UsageError(
                    "The processes of a cluster each have a keyring.json of their own, and would not know a key that is made here: "
                    "give all of them a new one in ENCRYPTION_KEY_PREVIOUS, then in ENCRYPTION_KEY (what the files hold still reads), "
                    "and call this again."
                )
            _make_key(place)
            done = _reencrypt(frame, place)
        place.write(lambda session: tell_reencrypted(session, place.author, done))
        told: JsonObject = done.describe() | {"key": place.installation.keyring.current_key_id}
    tell_done(frame.output, told)


def tell_done(output: Output, told: JsonObject) -> None:
    """What came of it. Raises CommandFailedError where some did not open."""
    output.confirm(f"{told['rotated']} of {told['total']} secrets are sealed anew.", told)
    failed = cast("list[str]", told["failed"])
    if failed:
        output.say(f"No key opens these; set them again: {', '.join(failed)}.")
        raise CommandFailedError(ExitCode.FAILED)


def _make_key(place: Place) -> None:
    key, present = draw_key(), place.installation.keyring.current_key_id

    async def record(session: AsyncSession) -> None:
        await tell_rotated(session, place.author, before=present, after=make_key_id(key))

    # A key that cannot be recorded is not made.
    place.write(record)
    rotate_keyring(place.installation.folder.keyring, key)


def _reencrypt(frame: Frame, place: Place) -> Rotation:
    database, keyring = place.installation.database, place.installation.keyring
    return place.run(reencrypt_all(database, keyring, reencrypt_subscriptions, tell=frame.output.say))
