"""What the endpoints of workflows share: finding the one that is meant, reading documents, and answering with them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.errors import Detail
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.language.serializing import to_yaml
from flowforge.language.times import format_timestamp_ms
from flowforge.web.answers import describe_detail
from flowforge.web.calls import Call
from flowforge.web.conditions import quote_etag
from flowforge.web.errors import ParameterError
from flowforge.workflows.endpoints.bodies import DocumentBody
from flowforge.workflows.errors import ContentError, WorkflowNotFoundError
from flowforge.workflows.ports import Compiler, OnPublished
from flowforge.workflows.reading import DRAFT, get_workflow
from flowforge.workflows.rights import find_sight
from flowforge.workflows.subjects import read_subject
from flowforge.workflows.switching import TriggerSwitch
from flowforge.workflows.types import Checked, Draft, Reviewed, Source, WorkflowSummary

_NUMBER_MAX: Final = 2**31


@dataclass(frozen=True, slots=True)
class CheckedBefore:
    """Gives what is known of a source that was checked already; checks any other."""

    sent: Reviewed
    compiler: Compiler

    def __call__(self, source: Source) -> Checked:
        return self.sent.checked if source == self.sent.source else self.compiler.check_source(source)


async def check_source(call: Call, source: Source) -> CheckedBefore:
    """Compiles in a thread: a large document takes a second, in which others are served."""
    compiler = call.port(Compiler)
    checked = await asyncio.to_thread(compiler.check_source, source)
    return CheckedBefore(Reviewed(source, checked), compiler)


async def find_seen(
    session: AsyncSession, call: Call, text: str, *, permission: str | None = None, include_deleted: bool = False
) -> WorkflowSummary:
    """The workflow of a path, by id or name.

    Raises:
        InvalidIdError: it is neither an id nor a name.
        WorkflowNotFoundError: there is none, or the caller does not see it.
        PermissionMissingError: the caller sees it, but has not the permission there.
    """
    subject = read_subject(text, "wf")
    found = await get_workflow(session, call.workspace_id, subject, include_deleted=include_deleted)
    if not find_sight(call.caller).shows(found.project_id, is_public=found.is_public):
        raise WorkflowNotFoundError(subject)
    if permission is not None:
        call.require(permission, found.project_id)
    return found


def make_switch(call: Call) -> TriggerSwitch:
    return TriggerSwitch(call.port(OnPublished), call.port(Compiler).check_source)


def read_document_body(body: DocumentBody) -> Source:
    """The text that is stored: `yaml` as it came, `document` as YAML in the language's order.

    Raises:
        ContentError: there is not exactly one of both.
    """
    if body.yaml is not None and body.document is None:
        return Source(body.yaml.encode(), DocumentFormat.YAML)
    if body.document is not None and body.yaml is None:
        return Source(to_yaml(body.document).encode(), DocumentFormat.YAML)
    raise ContentError(
        "document", "Send the workflow as `document` (an object) or as `yaml` (a text), one of both.", "document_missing"
    )


def describe_details(details: Sequence[Detail]) -> list[JsonValue]:
    return [describe_detail(detail) for detail in details]


def describe_draft(draft: Draft, checked: Checked) -> JsonObject:
    return {
        "document": checked.document,
        "yaml": draft.source.data.decode("utf-8", "replace"),
        "etag": draft.etag,
        "faults": describe_details(draft.faults),
        "layout": None,
        "based_on": draft.based_on,
        "updated_at": format_timestamp_ms(draft.updated_at_ms),
        "updated_by": draft.updated_by,
    }


def tag_revision(workflow: WorkflowSummary) -> dict[str, str]:
    """The ETag of a workflow, as a header."""
    return {"etag": quote_etag(str(workflow.revision))}


def read_version(parameter: str, text: str | None) -> int | str | None:
    """A version's number, `draft`, or None where nothing was given.

    Raises:
        ParameterError: the text is none of them.
    """
    if text is None or text == DRAFT:
        return text
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:11]) < _NUMBER_MAX:
        raise ParameterError(parameter, "Write a version's number, or draft.", "version")
    return int(text)
