"""The audit log over REST. What is of the whole chain needs `audit:verify`, and the first workspace, which is the installation's own."""

from collections.abc import AsyncGenerator
from typing import Annotated, Final, Literal

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from flowforge.audit import repository
from flowforge.audit.checkpoints import read_checkpoint, select_checkpoints
from flowforge.audit.errors import AuditRowNotFoundError, AuditRowNumberError
from flowforge.audit.exporting import Selection, export_lines, export_table, show_rows
from flowforge.audit.filters import AUDIT, CHECKPOINTS
from flowforge.audit.proving import verify_chain
from flowforge.audit.schemas import AuditRowAnswer, CheckpointAnswer, VerdictAnswer
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.signing import SigningKeys
from flowforge.web.calls import CallIn
from flowforge.web.lists import WHERE_MAX, Asked, Page
from flowforge.web.queries import describe_where, make_asked
from flowforge.web.routing import Router

router = Router("audit", "/audit")
ROUTERS: Final = (router,)

_VERIFY: Final = "audit:verify"
_NUMBER_DIGITS_MAX: Final = 18

WhereIn = Annotated[list[str] | None, Query(description=describe_where(AUDIT.fields), max_length=WHERE_MAX)]
FormatIn = Annotated[
    Literal["jsonl", "csv"], Query(description="jsonl: lines that `flowforge audit verify` takes; csv: a table for people.")
]


@router.get("", "audit:read", summary="List what was done, newest first")
async def list_audit_rows(call: CallIn, asked: Annotated[Asked, make_asked(AUDIT)]) -> Page[AuditRowAnswer]:
    """Rows of the workspace; in the first workspace also those of the installation: people, roles, settings."""
    selection = AUDIT.read(asked, call.workspace_id)
    async with call.report() as session:
        kept, following = selection.cut(await repository.list_rows(session, call.workspace_id, selection))
        shown = await show_rows(session, call.parts.keyring, kept)
    return Page(data=[AuditRowAnswer.model_validate(row) for row in shown], next_cursor=following)


@router.get("/checkpoints", "audit:read", summary="List checkpoints, newest first")
async def list_audit_checkpoints(call: CallIn, asked: Annotated[Asked, make_asked(CHECKPOINTS)]) -> Page[CheckpointAnswer]:
    """Keep a copy of them elsewhere: against it a chain that was written anew as a whole is noticed too."""
    selection = CHECKPOINTS.read(asked)
    async with call.report() as session:
        kept, following = selection.cut(await select_checkpoints(session, selection))
    data = [CheckpointAnswer.model_validate(read_checkpoint(row).describe()) for row in kept]
    return Page(data=data, next_cursor=following)


@router.get(
    "/export",
    "audit:read",
    summary="Export the log as a file",
    response_model=None,
    response_class=Response,
    answers={200: {"content": {"application/jsonl": {}, "text/csv": {}}, "description": "The file, as a stream."}},
)
async def export_audit(call: CallIn, format: FormatIn = "jsonl", where: WhereIn = None) -> Response:  # noqa: A002 (the query's name)
    """Oldest first. Without `where`, in the first workspace and with `audit:verify`, jsonl is the whole chain with checkpoints and keys.

    Then `flowforge audit verify FILE --key JWK` proves it without us. Otherwise it is a part: rows that the caller may see, for reading.
    """
    conditions = AUDIT.read(Asked(where=tuple(where or ()))).conditions
    open_session = call.parts.database.read
    if format == "csv":
        selection = Selection(call.workspace_id, conditions)
        return _stream(export_table(open_session, selection, call.parts.keyring), "text/csv; charset=utf-8", "audit.csv")
    is_whole = not conditions and call.workspace_id == DEFAULT_WORKSPACE_ID and call.caller.rights.allow(_VERIFY)
    selection = Selection() if is_whole else Selection(call.workspace_id, conditions)
    keys = call.port(SigningKeys).list_public()
    return _stream(export_lines(open_session, selection, keys), "application/jsonl", "audit.jsonl")


@router.post("/verify", _VERIFY, summary="Verify the whole chain")
async def verify_audit(call: CallIn) -> VerdictAnswer:
    """Goes through every row of the installation. Whoever does not trust this server verifies an export offline."""
    verdict = await verify_chain(call.parts.database.read, call.port(SigningKeys).list_public())
    return VerdictAnswer(
        valid=verdict.is_valid,
        checked=verdict.checked,
        first_bad=verdict.first_bad,
        reason=verdict.reason,
        message=verdict.message,
        signed_up_to=verdict.signed_up_to,
    )


@router.get("/{no}", "audit:read", errors=[AuditRowNotFoundError], summary="One row")
async def get_audit_row(call: CallIn, no: str) -> AuditRowAnswer:
    if not (no.isascii() and no.isdigit()) or len(no) > _NUMBER_DIGITS_MAX or int(no) == 0:
        raise AuditRowNumberError(no)
    async with call.read() as session:
        row = await repository.find_row(session, call.workspace_id, int(no))
        if row is None:
            raise AuditRowNotFoundError(int(no))
        (shown,) = await show_rows(session, call.parts.keyring, [row])
    return AuditRowAnswer.model_validate(shown)


def _stream(pieces: AsyncGenerator[bytes], media_type: str, name: str) -> Response:
    return StreamingResponse(pieces, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})
