"""`flowforge workflows`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.ports import RUN_QUEUE
from flowforge.engine.store import NewMail
from flowforge.entrypoints.cli.arguments import read_source, write_file
from flowforge.entrypoints.cli.commands.workflow_views import (
    CHANGE_COLUMNS,
    LIST_COLUMNS,
    VERSION_COLUMNS,
    describe_published,
    describe_pushed,
    describe_version,
    describe_workflow,
)
from flowforge.entrypoints.cli.failures import UsageError, format_detail
from flowforge.entrypoints.cli.frame import ACTOR, Frame, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.triggering import make_trigger_switch
from flowforge.kit.errors import Detail
from flowforge.runs.service import list_open_runs
from flowforge.workflows.descriptions import describe_settings
from flowforge.workflows.errors import DocumentInvalidError
from flowforge.workflows.service import (
    WorkflowFilter,
    compare_versions,
    delete_workflow,
    deprecate_workflow,
    export_workflow,
    get_workflow,
    list_versions,
    list_workflows,
    prepare_publication,
    publish,
    publish_again,
    push_draft,
    restore_workflow,
    write_documentation,
)
from flowforge.workflows.telling import tell_change_as, tell_published, tell_pushed
from flowforge.workflows.types import Published, Pushed, Source, WorkflowSummary

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Drafts, versions, publishing, export.")

Subject = Annotated[str, typer.Argument(metavar="NAME", help="The workflow's name or id.")]

_PAGE = 200


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    search: Annotated[str, typer.Option("--search", "-s", help="Part of the name or title.")] = "",
    include_deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted ones too.")] = False,
) -> None:
    """All workflows by name."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        found = _list_all(place, search, include_deleted=include_deleted)
    frame.output.write_rows(
        map(describe_workflow, found), LIST_COLUMNS, empty="There is no workflow; `flowforge workflows push FILE` makes one."
    )


def _list_all(place: Place, search: str, *, include_deleted: bool) -> list[WorkflowSummary]:
    found: list[WorkflowSummary] = []
    after: str | None = ""
    while after is not None:
        wanted = WorkflowFilter(include_deleted=include_deleted, search=search, after_name=after, limit=_PAGE)
        page, after = place.report(partial(list_workflows, workspace_id=place.workspace_id, wanted=wanted))
        found.extend(page)
    return found


@app.command()
def show(ctx: typer.Context, subject: Subject) -> None:
    """One workflow: what it is, which version is current, whether there is a draft."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        workflow = place.read(lambda session: get_workflow(session, place.workspace_id, subject, include_deleted=True))
    frame.output.write_object(describe_workflow(workflow), title=workflow.title)


@app.command()
def push(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Workflow files; - is stdin.")],
    *,
    allow_faults: Annotated[bool, typer.Option("--allow-faults", help="Keep an unfinished draft.")] = False,
    is_published: Annotated[bool, typer.Option("--publish", help="Publish it at once.")] = False,
    note: Annotated[str, typer.Option("--note", help="With --publish: what changed.")] = "",
) -> None:
    """Make files the drafts of the workflows that they name, and the workflows where there are none.

    A file with faults is refused, and nothing of it is stored.
    """
    frame = frame_of(ctx)
    sources = [(file, read_source(file)) for file in files]
    with open_place(frame) as place:
        for file, source in sources:
            pushed = place.write(partial(_push, place=place, source=source, allow_faults=allow_faults))
            name = pushed.workflow.name
            did = "created" if pushed.is_new else "updated" if pushed.is_changed else "unchanged"
            frame.output.confirm(f"{file}: draft of {name} {did}.", describe_pushed(file, pushed))
            _say_details(frame, file, [*pushed.faults, *pushed.warnings])
            if is_published and pushed.workflow.has_draft:
                _tell_published(frame, _publish_draft(place, name, note))


async def _push(session: AsyncSession, place: Place, source: Source, *, allow_faults: bool) -> Pushed:
    check = place.installation.check_source
    pushed = await push_draft(
        session, ACTOR, place.workspace_id, source, check=check, at_ms=place.now_ms, allow_faults=allow_faults
    )
    await tell_pushed(session, place.author, pushed)
    return pushed


@app.command("publish")
def publish_(
    ctx: typer.Context,
    subject: Subject,
    *,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Make this earlier version the current one again.", show_default=False)
    ] = None,
    note: Annotated[str, typer.Option("--note", help="What changed.")] = "",
) -> None:
    """Make the draft the next version, which new runs take from now on. Runs in flight keep theirs."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        if version is None:
            published = _publish_draft(place, subject, note)
        else:
            published = place.write(partial(_publish_again, place=place, subject=subject, version=version))
    _tell_published(frame, published)


def _publish_draft(place: Place, subject: str, note: str) -> Published:
    check = place.installation.check_source
    publication = place.read(lambda session: prepare_publication(session, place.workspace_id, subject, check=check))
    place.installation.store.define(publication.digest, publication.definition)
    on_published = make_trigger_switch(place.installation).on_published

    async def change(session: AsyncSession) -> Published:
        before = await get_workflow(session, place.workspace_id, publication.workflow_id)
        published = await publish(
            session, ACTOR, place.workspace_id, publication, note=note, at_ms=place.now_ms, on_published=on_published
        )
        await tell_published(session, place.author, before, published)
        return published

    return place.write(change)


async def _publish_again(session: AsyncSession, place: Place, subject: str, version: int) -> Published:
    before = await get_workflow(session, place.workspace_id, subject)
    switch = make_trigger_switch(place.installation)
    published = await publish_again(session, ACTOR, place.workspace_id, before.id, version, at_ms=place.now_ms, switch=switch)
    await tell_published(session, place.author, before, published)
    return published


def _tell_published(frame: Frame, published: Published) -> None:
    name, number = published.workflow.name, published.version.version
    frame.output.confirm(f"Version {number} of {name} is published.", describe_published(published))
    _say_details(frame, name, published.warnings)


def _say_details(frame: Frame, file: str, details: Sequence[Detail]) -> None:
    if not frame.output.is_json:
        for detail in details:
            frame.output.say(f"{file}:{format_detail(detail)}")


@app.command()
def versions(ctx: typer.Context, subject: Subject) -> None:
    """All published versions, the newest first."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        found = place.read(lambda session: list_versions(session, place.workspace_id, subject))
    frame.output.write_rows(
        map(describe_version, found),
        VERSION_COLUMNS,
        empty=f"{subject} has no version; `flowforge workflows publish {subject}` makes one.",
    )


@app.command()
def diff(
    ctx: typer.Context,
    subject: Subject,
    left: Annotated[str | None, typer.Argument(metavar="FROM", help="A version, or draft.", show_default=False)] = None,
    right: Annotated[str | None, typer.Argument(metavar="TO", help="A version, or draft.", show_default=False)] = None,
) -> None:
    """What differs between two versions; without versions, between the current one and the draft."""
    frame = frame_of(ctx)
    from_, to = read_version(left), "draft" if right is None else read_version(right)
    with open_place(frame) as place:
        check = place.installation.check_source
        found = place.read(
            lambda session: compare_versions(session, place.workspace_id, subject, left=from_, right=to, check=check)
        )
    if frame.output.is_json:
        frame.output.write_line({"from": found.left, "to": found.right, "text": found.text, "changes": [*found.changes]})
    elif not found.text:
        frame.output.say(f"{found.left} and {found.right} are the same.")
    else:
        frame.output.write_rows(found.changes, CHANGE_COLUMNS)
        frame.output.write_text(f"\n{found.text}")


def read_version(text: str | None) -> int | str | None:
    """A version's number, `draft`, or None for the current version.

    Raises:
        UsageError: the text is none of them.
    """
    if text is None or text == "draft":
        return text
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**31:
        raise UsageError(f"{text!r} is no version; write its number, or draft.")
    return int(text)


@app.command()
def docs(
    ctx: typer.Context,
    subject: Subject,
    *,
    version: Annotated[
        str | None, typer.Option("--version", help="A version, or draft; else the current one.", show_default=False)
    ] = None,
) -> None:
    """What a workflow takes, does and gives, as Markdown with a diagram."""
    frame = frame_of(ctx)
    wanted = read_version(version)
    with open_place(frame) as place:
        found = place.read(lambda session: get_workflow(session, place.workspace_id, subject))
        if wanted is None and found.current_version is None:
            wanted = "draft"
        source = place.read(lambda session: export_workflow(session, place.workspace_id, found.id, version=wanted))
        checked = place.installation.check_source(source)
    if checked.workflow is None:
        raise DocumentInvalidError(f"The document of {found.name}", checked.errors)
    number = wanted if isinstance(wanted, int) else None if wanted == "draft" else found.current_version
    frame.output.write_text(write_documentation(checked.workflow, version=number))


@app.command()
def export(
    ctx: typer.Context,
    subjects: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Names or ids.", show_default=False)] = None,
    *,
    version: Annotated[
        str | None, typer.Option("--version", help="A version, or draft; else the current one.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file each into this folder.", show_default=False)
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every workflow that has what is asked for.")] = False,
) -> None:
    """The document, byte for byte as it was pushed. Secrets are in it by name only.

    One workflow goes to stdout; several need --output.
    """
    frame = frame_of(ctx)
    wanted = read_version(version)
    if not subjects and not is_all:
        raise UsageError("Name a workflow, or ask for --all.")
    with open_place(frame) as place:
        names = _list_exportable(place, wanted) if is_all else subjects or []
        if folder is None and len(names) != 1:
            raise UsageError("Several workflows need a folder: --output FOLDER.")
        for name in names:
            _export_one(frame, place, name, wanted, folder)


def _list_exportable(place: Place, wanted: int | str | None) -> list[str]:
    found = _list_all(place, "", include_deleted=False)
    if wanted == "draft":
        return [workflow.name for workflow in found if workflow.has_draft]
    return [workflow.name for workflow in found if workflow.current_version is not None]


def _export_one(frame: Frame, place: Place, subject: str, wanted: int | str | None, folder: Path | None) -> None:
    source = place.read(lambda session: export_workflow(session, place.workspace_id, subject, version=wanted))
    if folder is None:
        if frame.is_json_asked:
            frame.output.write_line({"workflow": subject, "format": source.format.value, "document": source.data.decode()})
        else:
            frame.output.write_bytes(source.data)
        return
    path = folder / f"{subject}.{source.format.value}"
    write_file(path, source.data)
    frame.output.confirm(f"Wrote {path}.", {"workflow": subject, "file": str(path)})


@app.command()
def deprecate(ctx: typer.Context, subject: Subject) -> None:
    """Take no new runs; open ones go on. Publishing brings it back."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        switch = make_trigger_switch(place.installation)

        async def change(session: AsyncSession) -> WorkflowSummary:
            before = await get_workflow(session, place.workspace_id, subject)
            after = await deprecate_workflow(session, ACTOR, place.workspace_id, before.id, at_ms=place.now_ms, switch=switch)
            if before.deprecated_at_ms is None:
                noted = describe_settings(before), describe_settings(after) | {"note": ""}
                await tell_change_as(session, place.author, "deprecated", after, before=noted[0], after=noted[1])
            return after

        workflow = place.write(change)
    frame.output.confirm(f"{workflow.name} is deprecated.", describe_workflow(workflow))


@app.command()
def delete(
    ctx: typer.Context,
    subject: Subject,
    *,
    is_forced: Annotated[bool, typer.Option("--force", help="Cancel its open runs.")] = False,
) -> None:
    """Delete so that it can be restored. Versions and runs stay."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        found = place.read(lambda session: get_workflow(session, place.workspace_id, subject))
        open_runs = place.read(lambda session: list_open_runs(session, place.workspace_id, workflow_id=found.id))

        async def change(session: AsyncSession) -> WorkflowSummary:
            deleted = await delete_workflow(
                session,
                ACTOR,
                place.workspace_id,
                found.id,
                open_runs=len(open_runs),
                at_ms=place.now_ms,
                is_forced=is_forced,
                switch=make_trigger_switch(place.installation),
            )
            await tell_change_as(session, place.author, "deleted", deleted, before=describe_settings(found))
            return deleted

        workflow = place.write(change)
        reason = b'{"reason":"Its workflow was deleted."}'
        doorbell = place.installation.doorbell
        place.installation.store.deliver([NewMail(run.no, "cancel", reason, ACTOR) for run in open_runs])
        for run in open_runs:
            doorbell.ring(RUN_QUEUE, run.no, 0)
    told = f", and {len(open_runs)} runs are being cancelled" if open_runs else ""
    frame.output.confirm(f"{workflow.name} is deleted{told}.", describe_workflow(workflow) | {"cancelled_runs": len(open_runs)})


@app.command()
def restore(ctx: typer.Context, subject: Subject) -> None:
    """Bring back a deleted workflow: by id, or the one of that name that was deleted last."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        switch = make_trigger_switch(place.installation)

        async def change(session: AsyncSession) -> WorkflowSummary:
            before = await get_workflow(session, place.workspace_id, subject, include_deleted=True)
            after = await restore_workflow(session, ACTOR, place.workspace_id, subject, at_ms=place.now_ms, switch=switch)
            if before.deleted_at_ms is not None:
                await tell_change_as(session, place.author, "restored", after, after=describe_settings(after))
            return after

        workflow = place.write(change)
    frame.output.confirm(f"{workflow.name} is back.", describe_workflow(workflow))
