"""A workflow's documentation for people, in Markdown with a Mermaid diagram, made of its document alone."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from flowforge.kit.border import encode
from flowforge.kit.units import format_duration
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Foreach, Graph, Repeat, Step, Workflow
from flowforge.workflows.picturing import Node, Picture, draw_picture, is_ordinary

_SECTIONS: Final = (("steps", ""), ("on_failure", "If it fails"), ("finally", "In the end"))
_CELL_MAX: Final = 300
_LABEL_MAX: Final = 60
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>#|!~$])")


def write_documentation(workflow: Workflow, *, version: int | None) -> str:
    """`version` None: of the draft."""
    return (
        "\n".join([*_write_head(workflow, version), *_write_input(workflow), *_write_body(workflow), *_write_names(workflow)])
        + "\n"
    )


def _write_head(workflow: Workflow, version: int | None) -> Iterator[str]:
    yield f"# {_escape(workflow.title)}"
    yield ""
    yield f"`{workflow.name}`, {'the draft' if version is None else f'version {version}'}"
    if workflow.description:
        yield ""
        yield from (_escape(line) for line in workflow.description.splitlines())
    if workflow.labels:
        yield ""
        yield "Labels: " + ", ".join(f"{_escape(name)} = {_code(text.source)}" for name, text in workflow.labels.items())
    if workflow.subject is not None:
        yield ""
        yield f"Runs are about: {_code(workflow.subject.source)}"
    if workflow.triggers:
        yield from _write_table(
            "Started by",
            ("trigger", "kind", "with"),
            [(f"`{trigger.id}`", f"`{trigger.uses}`", _code(trigger.with_)) for trigger in workflow.triggers],
        )


def _write_input(workflow: Workflow) -> Iterator[str]:
    schema = workflow.input_schema
    properties = None if schema is None else schema.get("properties")
    if schema is None or not isinstance(properties, dict) or not properties:
        return
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    rows = [_describe_field(name, field, is_required=name in needed) for name, field in properties.items()]
    yield from _write_table("Input", ("field", "type", "required", "default", "meaning"), rows)


def _describe_field(name: str, field: JsonValue, *, is_required: bool) -> tuple[str, ...]:
    schema: JsonObject = field if isinstance(field, dict) else {}
    kind = schema.get("enum") or schema.get("type") or ""
    meaning = schema.get("description") or schema.get("title") or ""
    default = _code(schema["default"]) if "default" in schema else ""
    told = _code(kind) if kind else ""
    return f"`{name}`", told, "yes" if is_required else "", default, _escape(str(meaning))


def _write_body(workflow: Workflow) -> Iterator[str]:
    picture = draw_picture(workflow)
    yield from ("", "## How it goes", "", "```mermaid", *_draw_mermaid(picture), "```")
    graphs = {"steps": workflow.graph, "on_failure": workflow.on_failure, "finally": workflow.finally_}
    for section, title in _SECTIONS:
        graph = graphs[section]
        if graph is not None:
            columns = ("step", "does", "after", "when", "retries", "if it fails")
            yield from _write_table(title or "Steps", columns, [*_list_steps(graph, "")])


def _list_steps(graph: Graph, prefix: str) -> Iterator[tuple[str, ...]]:
    sources: dict[int, list[str]] = {}
    for step in graph.steps:
        for port, target in step.edges:
            sources.setdefault(target, []).append(step.id if is_ordinary(step, port) else f"{step.id}.{port}")
    for index, step in enumerate(graph.steps):
        yield _describe_step(step, prefix, sources.get(index, []))
        if isinstance(step.action, Foreach | Repeat):
            yield from _list_steps(step.action.body, f"{prefix}{step.id}/")


def _describe_step(step: Step, prefix: str, after: Sequence[str]) -> tuple[str, ...]:
    title = "" if step.title == step.id else f" {_escape(step.title)}"
    retries = "" if step.retry.attempts == 1 else f"{step.retry.attempts} attempts"
    limit = "" if step.timeout_ms is None else f"within {format_duration(step.timeout_ms)}"
    compensated = "" if step.compensate is None else f"undone by `{step.compensate.action.name}`"
    return (
        f"`{prefix}{step.id}`{title}",
        f"`{step.uses}`",
        ", ".join(f"`{source}`" for source in after),
        "" if step.when is None else _code(step.when.source),
        ", ".join(part for part in (retries, limit) if part),
        ", ".join(part for part in (step.on_error.value, compensated) if part),
    )


def _write_names(workflow: Workflow) -> Iterator[str]:
    lists = (
        ("Secrets", workflow.secrets),
        ("Variables", workflow.variables),
        ("Calls", workflow.calls),
        ("Operations", workflow.operations),
    )
    if any(names for _, names in lists):
        yield from ("", "## What it needs", "")
    for title, names in lists:
        if names:
            yield f"- {title}: " + ", ".join(f"`{name}`" for name in names)


def _write_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _draw_mermaid(picture: Picture) -> Iterator[str]:
    # Mermaid takes few characters in names, so nodes are numbered, and their ids stand in the labels.
    numbers = {node.id: f"n{number}" for number, node in enumerate(picture.nodes)}
    yield "flowchart TD"
    for section, title in _SECTIONS:
        indent = "  "
        nodes = list(picture.list_within(section, None))
        if title and nodes:
            yield f'{indent}subgraph {section} ["{title}"]'
            yield from _draw_nodes(picture, nodes, numbers, indent + "  ")
            yield f"{indent}end"
        else:
            yield from _draw_nodes(picture, nodes, numbers, indent)
    for edge in picture.edges:
        label = "" if edge.is_ordinary else f'|"{_label(edge.port)}"|'
        yield f"  {numbers[edge.source]} -->{label} {numbers[edge.target]}"


def _draw_nodes(picture: Picture, nodes: Sequence[Node], numbers: dict[str, str], indent: str) -> Iterator[str]:
    for node in nodes:
        inner = list(picture.list_within(node.section, node.id))
        label = _label(node.title if node.title != node.step else node.step)
        if inner:
            yield f'{indent}subgraph {numbers[node.id]} ["{label}"]'
            yield from _draw_nodes(picture, inner, numbers, indent + "  ")
            yield f"{indent}end"
        else:
            start, end = ("{", "}") if node.is_decision else ("[", "]")
            yield f'{indent}{numbers[node.id]}{start}"{label}"{end}'


def _label(text: str) -> str:
    """Plain text in a quoted label: what Mermaid or HTML would read is written as its number."""
    shown = text if len(text) <= _LABEL_MAX else text[: _LABEL_MAX - 1] + "…"
    return "".join(letter if letter.isalnum() or letter in " -_.,/…" else f"#{ord(letter)};" for letter in shown)


def _escape(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _code(value: JsonValue) -> str:
    """A value as code in a cell of a table: no mark of the table and no end of the code in it."""
    text = value if isinstance(value, str) else encode(value).decode()
    text = " ".join(text.split())
    shown = text if len(text) <= _CELL_MAX else text[: _CELL_MAX - 1] + "…"
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    space = " " if "`" in shown else ""
    return f"{fence}{space}{shown}{space}{fence}".replace("|", "\\|")
