"""What differs between two versions of a workflow."""

import difflib
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject
from flowforge.language.differences import diff_documents
from flowforge.workflows.reading import DRAFT, export_workflow, find_row
from flowforge.workflows.types import CheckDocument, Difference, Source


@dataclass(frozen=True, slots=True)
class Pair:
    """Two documents, and what they are called."""

    left: str
    right: str
    left_source: Source
    right_source: Source


async def compare_versions(
    session: AsyncSession,
    workspace_id: str,
    subject: str,
    *,
    left: int | str | None,
    right: int | str | None,
    check: CheckDocument,
) -> Difference:
    """Compares two documents of a workflow, each a version's number, "draft", or None for the current version.

    `changes` is empty where one of them cannot be read as a document at all (a draft with a fault in its syntax).

    Raises:
        WorkflowNotFoundError, VersionNotFoundError, DraftNotFoundError, NotPublishedError: one of them does not exist.
    """
    pair = await read_pair(session, workspace_id, subject, left=left, right=right)
    return compare_pair(pair, check)


async def read_pair(
    session: AsyncSession, workspace_id: str, subject: str, *, left: int | str | None, right: int | str | None
) -> Pair:
    """The two documents that `compare_pair` compares; raises as `compare_versions`."""
    row = await find_row(session, workspace_id, subject)
    left_source = await export_workflow(session, workspace_id, row.id, version=left)
    right_source = await export_workflow(session, workspace_id, row.id, version=right)
    left_name, right_name = (_name(row.name, which, row.current_version) for which in (left, right))
    return Pair(left_name, right_name, left_source, right_source)


def compare_pair(pair: Pair, check: CheckDocument) -> Difference:
    """What differs. Work for the processor; safe in a thread."""
    text = "".join(difflib.unified_diff(_lines(pair.left_source), _lines(pair.right_source), pair.left, pair.right))
    return Difference(pair.left, pair.right, text, _compare_meaning(pair.left_source, pair.right_source, check))


def _compare_meaning(left: Source, right: Source, check: CheckDocument) -> list[JsonObject]:
    left_document, right_document = check(left).document, check(right).document
    if left_document is None or right_document is None:
        return []
    return [
        {"change": found.change.value, "field": found.field, "before": found.before, "after": found.after}
        for found in diff_documents(left_document, right_document)
    ]


def _lines(source: Source) -> list[str]:
    return [line + "\n" for line in source.data.decode("utf-8", "replace").splitlines()]


def _name(name: str, which: int | str | None, current: int | None) -> str:
    return f"{name} ({DRAFT})" if which == DRAFT else f"{name} (version {which or current})"
