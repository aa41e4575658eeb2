"""What is in a template, by its kind: whether it can be kept, and what comes of it."""

import re
from typing import Final, cast

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.kinds import WORKFLOW_NAME, WORKFLOW_NAME_HINT
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.language.serializing import to_yaml
from flowforge.operations import FatalError
from flowforge.steps.text.rendering import render
from flowforge.workflows.templates.errors import TemplateInvalidError
from flowforge.workflows.templates.types import Mail, TemplateKind
from flowforge.workflows.types import CheckDocument, Checked, Source

_NAME_LINE: Final = re.compile(r"^name:[ \t]*[^\s#|>&*!].*$", re.MULTILINE)
_FIELDS: Final = {
    TemplateKind.WORKFLOW: ({"document", "yaml"}, "a workflow's template has `document` or `yaml`"),
    TemplateKind.STEP: ({"step"}, "a step's template has `step`"),
    TemplateKind.MAIL: (
        {"subject", "text", "html", "sample"},
        "a mail's template has `subject`, `text`, and perhaps `html` and `sample`",
    ),
}
_TEXT_MAX: Final = 65_536
_SUBJECT_MAX: Final = 998
"""RFC 5322, 2.1.1."""


def check_content(kind: TemplateKind, content: JsonObject) -> JsonObject:
    """The content as it is stored. Work for the processor where it is a mail's; safe in a thread.

    Raises:
        TemplateInvalidError: it cannot be kept, with the field and, in a mail, the line.
    """
    known, hint = _FIELDS[kind]
    for name in content:
        if name not in known:
            raise TemplateInvalidError(f"content.{name}", f"There is no such field here: {hint}.", "field_unknown")
    if kind is TemplateKind.WORKFLOW:
        return _check_workflow(content)
    return _check_step(content) if kind is TemplateKind.STEP else _check_mail(content)


def _check_workflow(content: JsonObject) -> JsonObject:
    document, text = content.get("document"), content.get("yaml")
    if isinstance(document, dict) and text is None:
        return {"yaml": to_yaml(document)}
    if isinstance(text, str) and text.strip() and document is None:
        return {"yaml": text}
    raise TemplateInvalidError("content", "Give the workflow as `document` or as `yaml`, one of both.", "document_missing")


def _check_step(content: JsonObject) -> JsonObject:
    step = content.get("step")
    if not isinstance(step, dict) or not isinstance(step.get("uses"), str):
        raise TemplateInvalidError("content.step", "`step` is a step of a workflow, with its `uses`.", "type")
    return {"step": step}


def _check_mail(content: JsonObject) -> JsonObject:
    for name in ("subject", "text"):
        if name not in content:
            raise TemplateInvalidError(f"content.{name}", "This is required.", "field_missing")
    for name in ("subject", "text", "html"):
        value = content.get(name, "")
        if not isinstance(value, str) or len(value) > _TEXT_MAX:
            raise TemplateInvalidError(f"content.{name}", f"This is a text of at most {_TEXT_MAX} characters.", "type")
    if not isinstance(content.get("sample", {}), dict):
        raise TemplateInvalidError("content.sample", "`sample` is an object: the data of the preview.", "type")
    try:
        render_mail(content, None, is_strict=False)
    except TemplateInvalidError as fault:
        # Without a sample nothing tells whether it would go well with data.
        if "sample" in content or fault.details[0].code != "template_failed":
            raise
    return content


def render_mail(content: JsonObject, data: JsonObject | None, *, is_strict: bool) -> Mail:
    """The mail with the data, or with the template's own sample. What the data hold is text: a template in it is never looked at.

    Work for the processor; safe in a thread.

    Raises:
        TemplateInvalidError: the template cannot be read, does too much, or (with `is_strict`) names what the data lack.
    """
    given = _find_sample(content) if data is None else data
    html = content.get("html")
    return Mail(
        # A line break in a subject would begin another header.
        subject=" ".join(_render("subject", content["subject"], given, escapes=False, is_strict=is_strict).split())[
            :_SUBJECT_MAX
        ],
        text=_render("text", content["text"], given, escapes=False, is_strict=is_strict),
        html=None if html is None else _render("html", html, given, escapes=True, is_strict=is_strict),
    )


def _render(field: str, source: JsonValue, data: JsonObject, *, escapes: bool, is_strict: bool) -> str:
    try:
        return render(cast("str", source), data, escapes=escapes, is_strict=is_strict)
    except FatalError as error:
        details = error.details
        line = details.get("line") if isinstance(details, dict) else None
        found = line if isinstance(line, int) else None
        raise TemplateInvalidError(f"content.{field}", str(error), error.code, found) from error


def _find_sample(content: JsonObject) -> JsonObject:
    sample = content.get("sample")
    return sample if isinstance(sample, dict) else {}


def name_workflow(content: JsonObject, name: str | None, check: CheckDocument) -> tuple[str, Checked]:
    """The template's document under another name, with all its comments where that is possible; None: as it is.

    Raises:
        TemplateInvalidError: the name is none.
    """
    text = cast("str", content["yaml"])
    if name is None:
        return text, check(_as_source(text))
    if not re.fullmatch(WORKFLOW_NAME, name):
        raise TemplateInvalidError("name", f"This is no name of a workflow: {WORKFLOW_NAME_HINT}.", "name_invalid")
    written = _NAME_LINE.sub(f"name: {name}", text, count=1)
    checked = check(_as_source(written))
    if checked.document is not None and checked.document.get("name") != name:
        written = to_yaml(checked.document | {"name": name})
        checked = check(_as_source(written))
    return written, checked


def fill_step(content: JsonObject, step_id: str | None, parameters: JsonObject) -> JsonObject:
    """The template's step, under another id, with these parameters in place of its own of the same names."""
    step = dict(cast("JsonObject", content["step"]))
    if step_id is not None:
        step = {"id": step_id} | {name: value for name, value in step.items() if name != "id"}
    own = step.get("with")
    if parameters:
        step["with"] = (own if isinstance(own, dict) else {}) | parameters
    return step


def _as_source(text: str) -> Source:
    return Source(text.encode(), DocumentFormat.YAML)
