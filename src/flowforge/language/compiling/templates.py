"""Compiles values with expressions inside, and checks what the expressions read."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.catalog import Catalog
from flowforge.language.compiling.overlays import overlay_templates, split_by_paths
from flowforge.language.compiling.references import ReferenceChecker, Target
from flowforge.language.compiling.types import list_types
from flowforge.language.compiling.usage import Usage
from flowforge.language.compiling.views import View
from flowforge.language.expressions import (
    Kind,
    PlacedExpression,
    PureFunctions,
    Scope,
    Template,
    TemplateCheck,
    TemplateFormat,
    compile_template,
    constant_template,
)
from flowforge.language.expressions import Limits as ExpressionLimits
from flowforge.language.faults import Sink
from flowforge.language.literals import is_below
from flowforge.language.positions import Path
from flowforge.language.pure_functions import list_pure_functions
from flowforge.language.schema_faults import holds_expression
from flowforge.language.shapes import show

_NOTHING: Final = constant_template(None)
"""Stands for a template that has faults; the workflow is then not used."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for parts of a value: dotted names below which secrets may stand, and those of URLs."""

    secret_names: frozenset[str] = frozenset()
    url_names: frozenset[str] = frozenset()
    allows_all_secrets: bool = False

    def allows_secrets_at(self, path: Path) -> bool:
        return self.allows_all_secrets or is_below(path, self.secret_names)


PLAIN: Final = Rules()
KIND_UNKNOWN: Final = Rules(allows_all_secrets=True)
"""For parameters of which nothing is known, because the kind is not: that is told already."""


class TemplateCompiler:
    """Compiles the templates of one document. Faults go to the sink; `usage` gathers what the expressions read."""

    def __init__(self, sink: Sink, catalog: Catalog, limits: Limits, document: JsonObject) -> None:
        self.usage = Usage()
        self._sink = sink
        self._catalog = catalog
        self._functions: PureFunctions = list_pure_functions(catalog)
        self._references = ReferenceChecker(sink, self.usage, document)
        self._limits = ExpressionLimits(
            source_bytes=limits.expr_src_bytes,
            depth=limits.expr_depth,
            nodes=limits.expr_nodes,
            ticks=limits.expr_ops,
            result_bytes=limits.expr_out_bytes,
        )

    def compile(self, value: JsonValue, path: Path, view: View, rules: Rules = PLAIN) -> Template:
        """The value at `path`, of which the expressions see what the view shows."""
        if not holds_expression(value):
            return constant_template(value)
        return self._compile(value, path, view, rules)

    def compile_text(self, value: JsonValue, path: Path, view: View) -> Template:
        """As `compile`, but what comes out is always text."""
        if isinstance(value, str) and holds_expression(value):
            return self._compile(value, path, view, PLAIN, TemplateFormat.TEXT)
        return constant_template(value if isinstance(value, str) else show(value))

    def compile_condition(self, value: JsonValue, path: Path, view: View) -> Template:
        """A condition; one that can be no boolean is told."""
        template = self.compile(value, path, view)
        self._check_type(template, path, view, Kind.BOOLEAN, "true or false")
        return template

    def compile_list(self, value: JsonValue, path: Path, view: View) -> Template:
        """A list, or an expression that gives one; what can be no list is told."""
        template = self.compile(value, path, view)
        if value is not None and not isinstance(value, list) and not holds_expression(value):
            self._sink.add("type_mismatch", path, f"A list or an expression that gives one is expected here, not {show(value)}.")
        self._check_type(template, path, view, Kind.LIST, "a list")
        return template

    def _compile(
        self, value: JsonValue, path: Path, view: View, rules: Rules, template_format: TemplateFormat = TemplateFormat.JSON
    ) -> Template:
        places = dict(_list_places(value, (), ""))
        rest, urls = split_by_paths(value, lambda inner: is_below(inner, rules.url_names)) if rules.url_names else (value, None)
        scope = Scope(frozenset(view.roots), allows_secrets=bool(rules.secret_names) or rules.allows_all_secrets)
        checks = [compile_template(rest, scope, self._functions, format=template_format, limits=self._limits)]
        if urls is not None:
            scope = replace(
                scope, allows_secrets=any(rules.allows_secrets_at(tuple(name.split("."))) for name in rules.url_names)
            )
            checks.append(compile_template(urls, scope, self._functions, format=TemplateFormat.URL, limits=self._limits))
        for check in checks:
            self._take(check, places, path, view, rules)
        templates = [check.template for check in checks if check.template is not None]
        if len(templates) < len(checks):
            return _NOTHING
        return templates[0] if len(templates) == 1 else overlay_templates(value, templates[0], templates[1])

    def _take(self, check: TemplateCheck, places: dict[str, Path], path: Path, view: View, rules: Rules) -> None:
        for fault in check.faults:
            inner = places.get(fault.path, ())
            suggestion = fault.suggestion
            self._sink.add(fault.code, (*path, *inner), fault.message, suggestion=suggestion, offset=fault.offset)
        for placed in check.expressions:
            inner = places.get(placed.path, ())
            self._take_expression(placed, inner, (*path, *inner), view, rules)

    def _take_expression(self, placed: PlacedExpression, inner: Path, path: Path, view: View, rules: Rules) -> None:
        compiled = placed.compiled
        self.usage.expressions += 1
        self.usage.operations.update(name for name in compiled.functions if name in self._functions)
        if compiled.secret is not None:
            self.usage.secrets.add(compiled.secret)
            if not rules.allows_secrets_at(inner):
                message = "A secret cannot stand here; only parameters that the operation marks for it, and a trigger's `auth`, take one."
                self._sink.add("secret_context", path, message, offset=placed.offset + compiled.secret_offset)
        for reference in compiled.references:
            self._references.check(Target(reference, path, placed.offset, view))

    def _check_type(self, template: Template, path: Path, view: View, wanted: Kind, word: str) -> None:
        """Tells an expression whose value is known to be of another type."""
        if template.is_constant or len(template.expressions) != 1:
            return
        compiled = template.expressions[0].compiled
        kinds = {compiled.type} if compiled.type is not None else _list_kinds(self._references, compiled.path, view)
        if kinds and wanted not in kinds:
            names = " or ".join(sorted(str(kind.value) for kind in kinds))
            self._sink.add("type_mismatch", path, f"The expression must give {word}; it gives {names}.", offset=0)


_KINDS: Final = {
    "string": Kind.STRING,
    "number": Kind.NUMBER,
    "integer": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "object": Kind.OBJECT,
    "array": Kind.LIST,
    "null": Kind.NULL,
}


def _list_kinds(references: ReferenceChecker, names: tuple[str, ...] | None, view: View) -> set[Kind]:
    schema = references.find_schema(names, view) if names is not None else None
    return {_KINDS[name] for name in list_types(schema)} if schema is not None else set()


def _list_places(value: JsonValue, path: Path, dotted: str) -> Iterator[tuple[str, Path]]:
    """The place of every text with an expression, by the dotted name that the template compiler uses."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _list_places(item, (*path, name), f"{dotted}.{name}" if dotted else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _list_places(item, (*path, index), f"{dotted}[{index}]")
    elif holds_expression(value):
        yield dotted, path
