"""`flowforge audit`: who did what, on this machine's data folder; `verify FILE` needs nothing but an exported file."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Final

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit import repository
from flowforge.audit.checkpoints import read_checkpoint, select_checkpoints
from flowforge.audit.errors import AuditRowNotFoundError
from flowforge.audit.exporting import Selection, export_lines, export_table, show_rows
from flowforge.audit.filters import AUDIT, CHECKPOINTS
from flowforge.audit.proving import read_keys, verify_chain, verify_file
from flowforge.audit.verifying import Verdict
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.kit.atomic import DraftFile
from flowforge.kit.folder import explain_os_error
from flowforge.kit.signing import PublicKey, open_signing
from flowforge.kit.values import JsonObject
from flowforge.web.lists import Asked

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Who did what: list, export, verify, also offline."
)

ROW_COLUMNS: Final = (
    field("no", "no", style="bold"),
    field("time", "time"),
    field("action", "action"),
    field("entity", "entity"),
    field("id", "entity_id"),
    field("actor", "actor"),
    field("ip", "ip"),
)
CHECKPOINT_COLUMNS: Final = (
    field("no", "no", style="bold"),
    field("time", "time"),
    field("hash", "hash"),
    field("key", "key_id"),
)
_LIMIT: Final = 50

Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    limit: Limit = _LIMIT,
    action: Annotated[str | None, typer.Option("--action", help="Only this action; `workflow.` for all that begin so.")] = None,
    entity: Annotated[str | None, typer.Option("--entity", help="Only things of this kind, like workflow.")] = None,
    entity_id: Annotated[str | None, typer.Option("--id", help="Only what was done to this thing.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this one did, like user:usr_….")] = None,
) -> None:
    """What was done, newest first."""
    frame = frame_of(ctx)
    wanted = {"entity:eq": entity, "entity_id:eq": entity_id, "actor:eq": actor}
    wanted["action:starts_with" if action is not None and action.endswith(".") else "action:eq"] = action
    where = tuple(f"{condition}:{value}" for condition, value in wanted.items() if value is not None)
    with open_place(frame) as place:
        keyring = place.installation.keyring

        async def look(session: AsyncSession) -> list[JsonObject]:
            selection = AUDIT.read(Asked(limit, where=where))
            rows, _ = selection.cut(await repository.list_rows(session, place.workspace_id, selection))
            return await show_rows(session, keyring, rows)

        rows = place.report(look)
    frame.output.write_rows(rows, ROW_COLUMNS, empty="Nothing was done yet.")


@app.command()
def show(ctx: typer.Context, no: Annotated[int, typer.Argument(min=1, help="Its number, as `audit list` shows it.")]) -> None:
    """One row, with what was there before and after."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        keyring = place.installation.keyring

        async def look(session: AsyncSession) -> JsonObject:
            row = await repository.find_row(session, place.workspace_id, no)
            if row is None:
                raise AuditRowNotFoundError(no)
            (shown,) = await show_rows(session, keyring, [row])
            return shown

        described = place.report(look)
    frame.output.write_object(described)


@app.command()
def checkpoints(ctx: typer.Context, *, limit: Limit = _LIMIT) -> None:
    """The signed checkpoints, newest first. Keep a copy elsewhere: against it a chain written anew as a whole is noticed too."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        selection = CHECKPOINTS.read(Asked(limit))
        rows, _ = selection.cut(place.report(lambda session: select_checkpoints(session, selection)))
    described = [read_checkpoint(row).describe() for row in rows]
    frame.output.write_rows(described, CHECKPOINT_COLUMNS, empty="There is no checkpoint yet; a server makes one each hour.")


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there.")],
    *,
    is_table: Annotated[bool, typer.Option("--csv", help="A table for people, which cannot be verified.")] = False,
) -> None:
    """Write the whole log to a file that `audit verify` takes."""
    frame = frame_of(ctx)
    if file.exists():
        raise UsageError(f"{file} is there already; name another file.")
    with open_place(frame) as place:
        open_session = place.installation.database.read
        if is_table:
            pieces = export_table(open_session, Selection(), place.installation.keyring)
        else:
            pieces = export_lines(open_session, Selection(), _list_own_keys(place))
        size_bytes = place.run(_write(pieces, file))
    frame.output.confirm(f"{file} holds the log.", {"file": str(file), "size_bytes": size_bytes})


@app.command()
def verify(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An export; without one the data folder's log is verified.")
    ] = None,
    *,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="JWK", help="The public key (a JWK or JWKS), or the file with it; else the export's own."),
    ] = None,
) -> None:
    """Tell whether the log is what was written, and which row is the first that is not.

    With a file nothing else is needed: no server, no data folder. Give the key that you know from elsewhere, such as from
    /.well-known/jwks.json of the server: the keys in the file are only as good as the file.
    """
    frame = frame_of(ctx)
    if file is None:
        if key is not None:
            raise UsageError("--key goes with a file; the data folder has its own keys.")
        verdict = _verify_place(frame)
    else:
        verdict = verify_file(file, [] if key is None else _read_keys(key))
    _tell(frame, verdict)
    if not verdict.is_valid:
        raise CommandFailedError(ExitCode.FAILED)


def _verify_place(frame: Frame) -> Verdict:
    with open_place(frame) as place:
        return place.run(verify_chain(place.installation.database.read, _list_own_keys(place)))


def _list_own_keys(place: Place) -> list[PublicKey]:
    return open_signing(place.installation.settings, place.installation.folder).list_public()


def _read_keys(given: str) -> list[PublicKey]:
    if given.lstrip().startswith("{"):
        return read_keys(given)
    path = Path(given)
    try:
        return read_keys(path.read_text())
    except OSError as fault:
        raise explain_os_error(fault, path) from fault
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text.") from None


def _tell(frame: Frame, verdict: Verdict) -> None:
    told: JsonObject = {
        "valid": verdict.is_valid,
        "checked": verdict.checked,
        "first_bad": verdict.first_bad,
        "reason": verdict.reason,
        "message": verdict.message,
        "signed_up_to": verdict.signed_up_to,
    }
    if not verdict.is_valid:
        sentence = f"NOT what was written: {verdict.message} The {verdict.checked} rows before are sound."
    elif verdict.last > verdict.signed_up_to:
        sentence = f"Sound: {verdict.checked} rows, signed up to {verdict.signed_up_to}, not signed yet up to {verdict.last}."
    else:
        sentence = f"Sound: {verdict.checked} rows, all of them signed."
    frame.output.confirm(sentence, told)


async def _write(pieces: AsyncGenerator[bytes], path: Path) -> int:
    size_bytes = 0
    try:
        draft = DraftFile(path.parent)
    except OSError as fault:
        raise explain_os_error(fault, path) from fault
    try:
        async for piece in pieces:
            draft.write(piece)
            size_bytes += len(piece)
        draft.move_to(path)
    except OSError as fault:
        raise explain_os_error(fault, path) from fault
    finally:
        draft.discard()
    return size_bytes
