"""The parts of a document around its graphs, and the whole."""

import json
from dataclasses import dataclass
from typing import Final

from flowforge.kit.border import digest
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.compiling.graphs import GraphCompiler, read_defaults
from flowforge.language.compiling.outline import GraphOutline, Role
from flowforge.language.compiling.outlining import Reader, check_attempt_timeout, count_steps, outline_graph
from flowforge.language.compiling.parameters import ParameterChecker
from flowforge.language.compiling.settings import as_object, as_text, read_concurrency
from flowforge.language.compiling.starts import compile_triggers
from flowforge.language.compiling.templates import TemplateCompiler
from flowforge.language.compiling.views import OUTSIDE_STEPS, view_graph
from flowforge.language.expressions import Template
from flowforge.language.faults import At, Sink
from flowforge.language.fields import DOCUMENT, LANGUAGE_VERSION
from flowforge.language.graph import Graph, Workflow
from flowforge.language.inputs import check_input_schema
from flowforge.language.positions import Path
from flowforge.language.shapes import EXPRESSION_MARK, find_duration_ms, show

_HANDLERS: Final = (Role.ON_FAILURE, Role.FINALLY)


@dataclass(frozen=True, slots=True)
class Outlines:
    """The graphs of a document; a handler that it does not have is None."""

    steps: GraphOutline
    on_failure: GraphOutline | None
    finally_: GraphOutline | None

    def list_graphs(self) -> list[GraphOutline]:
        """All graphs, those inside loops too."""
        roots = [graph for graph in (self.steps, self.on_failure, self.finally_) if graph is not None]
        return [graph for root in roots for graph in root.walk()]


@dataclass(frozen=True, slots=True)
class Compiled:
    """`workflow` may be used only where the sink has no errors."""

    workflow: Workflow
    outlines: Outlines


def is_document(value: JsonValue, sink: Sink) -> bool:
    """Whether the value is a document of a version that is understood; if not, nothing more can be said about it."""
    if not isinstance(value, dict):
        sink.add("type", (), f"A workflow is an object with `flowforge`, `name` and `steps`, not {show(value)}.")
        return False
    version = value.get("flowforge")
    if version != LANGUAGE_VERSION or isinstance(version, bool):
        known = "flowforge" in value
        told = f"There is no version {show(version)} of the language here" if known else "The field `flowforge` is missing"
        message = f"{told}; write `flowforge: {LANGUAGE_VERSION}`."
        sink.add("version_unsupported", ("flowforge",), message, suggestion=f"flowforge: {LANGUAGE_VERSION}")
        return False
    return True


def is_small_enough(document: JsonObject, reader: Reader) -> bool:
    """Whether the document has no more steps than are allowed."""
    count = sum(count_steps(document.get(role.value)) for role in Role)
    if count <= reader.limits.steps_max:
        return True
    message = (
        f"The document has {count} steps, those in loops counted; at most {reader.limits.steps_max} are allowed. Use flow.call."
    )
    reader.sink.add("steps_max", ("steps",), message, at=At.KEY)
    return False


def compile_parts(document: JsonObject, reader: Reader, templates: TemplateCompiler) -> Compiled:
    """The whole document; what is wrong is in the reader's sink."""
    sink = reader.sink
    DOCUMENT.check(document, (), sink)
    _refuse_expressions_in_names(document, (), sink)
    check_attempt_timeout(as_object(document.get("defaults")).get("timeout"), ("defaults", "timeout"), reader)
    schema = document.get("input")
    if isinstance(schema, dict):
        check_input_schema(schema, ("input",), sink)
    outlines = _outline(document, reader)
    defaults = read_defaults(document.get("defaults"), reader.limits.step_timeout_ms)
    compiler = GraphCompiler(reader, templates, ParameterChecker(sink, reader.check_code), defaults)
    return Compiled(_build_workflow(document, outlines, compiler), outlines)


def _outline(document: JsonObject, reader: Reader) -> Outlines:
    steps = outline_graph(reader, document.get("steps"), ("steps",), Role.STEPS)
    handlers = [
        outline_graph(reader, document[role.value], (role.value,), role, outer=steps) if role.value in document else None
        for role in _HANDLERS
    ]
    return Outlines(steps, *handlers)


def _build_workflow(document: JsonObject, outlines: Outlines, compiler: GraphCompiler) -> Workflow:
    templates = compiler.templates
    schema = document.get("input")
    graph = compiler.compile(outlines.steps)
    on_failure = _compile_handler(outlines.on_failure, compiler)
    finally_ = _compile_handler(outlines.finally_, compiler)
    labels = {
        name: templates.compile_text(value, ("labels", name), OUTSIDE_STEPS)
        for name, value in as_object(document.get("labels")).items()
    }
    output = templates.compile(document["output"], ("output",), view_graph(outlines.steps)) if "output" in document else None
    triggers = compile_triggers(document.get("triggers"), templates, compiler.reader.sink)
    concurrency = read_concurrency(document.get("concurrency"), ("concurrency",), templates)
    subject = _compile_subject(document, templates)
    usage = templates.usage
    return Workflow(
        name=as_text(document.get("name")),
        title=as_text(document.get("title")) or as_text(document.get("name")),
        description=as_text(document.get("description")),
        document=document,
        digest=digest_document(document),
        labels=labels,
        subject=subject,
        input_schema=schema if isinstance(schema, dict) else None,
        graph=graph,
        on_failure=on_failure,
        finally_=finally_,
        output=output,
        timeout_ms=find_duration_ms(document.get("timeout")),
        concurrency=concurrency,
        triggers=triggers,
        variables=tuple(sorted(usage.variables)),
        reads_resume_url=usage.reads_resume_url,
        secrets=tuple(sorted(usage.secrets)),
        calls=tuple(sorted(usage.calls)),
        operations=tuple(sorted(usage.operations)),
    )


def _compile_handler(outline: GraphOutline | None, compiler: GraphCompiler) -> Graph | None:
    return compiler.compile(outline) if outline is not None else None


def _compile_subject(document: JsonObject, templates: TemplateCompiler) -> Template | None:
    return templates.compile_text(document["subject"], ("subject",), OUTSIDE_STEPS) if "subject" in document else None


def _refuse_expressions_in_names(value: JsonValue, path: Path, sink: Sink) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if EXPRESSION_MARK in name:
                sink.add("expr_not_allowed", (*path, name), "The name of a field cannot hold an expression.", at=At.KEY)
            _refuse_expressions_in_names(item, (*path, name), sink)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_expressions_in_names(item, (*path, index), sink)


def digest_document(document: JsonObject) -> str:
    """BLAKE2b-128 of the document as compact JSON, with fields in their order (that of a switch's cases has a meaning).

    Equal for YAML and JSON of the same document: whole numbers are written without a fraction.
    """
    text = json.dumps(_write_whole(document), ensure_ascii=False, separators=(",", ":"))
    return digest(text.encode("utf-8", "surrogatepass"))


def _write_whole(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _write_whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_write_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
