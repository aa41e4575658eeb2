"""From a document to the workflow that the engine runs, or to everything that is wrong with it."""

from dataclasses import dataclass

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.catalog import Catalog
from flowforge.language.code_checks import CodeCheck, accept_code
from flowforge.language.compiling.documents import compile_parts, is_document, is_small_enough
from flowforge.language.compiling.metadata import Metadata, measure
from flowforge.language.compiling.outlining import Reader
from flowforge.language.compiling.templates import TemplateCompiler
from flowforge.language.faults import Fault, Sink
from flowforge.language.graph import Workflow
from flowforge.language.reading.document_reader import DocumentFormat, read_document

_UNREADABLE = frozenset(
    {"def_empty", "def_max", "encoding", "control_char", "nest_max"}
    | {"yaml_syntax", "yaml_documents", "yaml_alias", "yaml_tag", "yaml_duplicate_key", "yaml_key", "json_syntax"}
)


@dataclass(frozen=True, slots=True)
class Compilation:
    """The outcome. `workflow` is there exactly when there are no errors; `document` is the plain value where the source could be read.

    `metadata` is None where the document is not understood at all.
    """

    workflow: Workflow | None
    document: JsonValue
    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    metadata: Metadata | None

    @property
    def is_valid(self) -> bool:
        return self.workflow is not None

    @property
    def is_readable(self) -> bool:
        """False where even a draft cannot be kept: the text itself is at fault (cases YML-01 to 13, 36 and 37)."""
        return not any(fault.code in _UNREADABLE for fault in self.errors)


def compile_document(
    source: bytes | str | JsonObject,
    catalog: Catalog,
    limits: Limits,
    *,
    text_format: DocumentFormat = DocumentFormat.YAML,
    check_code: CodeCheck = accept_code,
) -> Compilation:
    """Compiles a document. Never raises on bad input: all faults are told at once, each with its place where the source is a text.

    A text is read as YAML 1.2, of which JSON is a part; with `DocumentFormat.JSON` as JSON only. The work is bounded by `limits`.
    `check_code` looks at scripts.
    """
    reading = read_document(source, limits, text_format)
    sink = reading.sink
    document = reading.value
    if document is None and sink.has_errors:
        return _give_up(None, sink)
    if not is_document(document, sink) or not isinstance(document, dict):
        return _give_up(document, sink)
    reader = Reader(catalog, limits, sink, check_code)
    if not is_small_enough(document, reader):
        return _give_up(document, sink)
    templates = TemplateCompiler(sink, catalog, limits, document)
    compiled = compile_parts(document, reader, templates)
    metadata = measure(compiled.outlines.list_graphs(), templates.usage, len(compiled.workflow.triggers))
    workflow = None if sink.has_errors else compiled.workflow
    return Compilation(workflow, document, sink.list_errors(), sink.list_warnings(), metadata)


def _give_up(document: JsonValue, sink: Sink) -> Compilation:
    return Compilation(None, document, sink.list_errors(), sink.list_warnings(), None)
