"""Every code of a fault in a document, with what it means and what to do. The reference is generated from this table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FaultCode:
    """`is_warning`: the document can be used all the same."""

    code: str
    meaning: str
    remedy: str
    is_warning: bool = False


_READING: Final = (
    FaultCode("def_empty", "The document is empty.", "Write at least `flowforge`, `name` and `steps`."),
    FaultCode("def_max", "The document is larger than LIMIT_DEF_MAX.", "Split it into several workflows and use flow.call."),
    FaultCode("encoding", "The text is not UTF-8, or begins with a byte order mark.", "Save the file as UTF-8 without a mark."),
    FaultCode("control_char", "There is a control character in the text or in an expression.", "Remove it."),
    FaultCode("nest_max", "Lists and objects are nested deeper than LIMIT_NEST_MAX.", "Move a part into a workflow of its own."),
    FaultCode(
        "number_range", "A number is infinite, none, or a whole number beyond 64 bits.", "Correct it, or quote it if it is text."
    ),
    FaultCode("yaml_syntax", "The text is not valid YAML.", "Mend the line; indent with spaces."),
    FaultCode("yaml_documents", "There is a second document behind `---`.", "Keep one workflow in a file."),
    FaultCode("yaml_alias", "There is an anchor, an alias or a merge key.", "Write the value out."),
    FaultCode("yaml_tag", "There is a tag like `!!python/object`.", "Write the value without a tag."),
    FaultCode("yaml_duplicate_key", "A field stands twice in one object.", "Keep one of them."),
    FaultCode("yaml_key", "The name of a field is no text.", "Quote it."),
    FaultCode("json_syntax", "The text is not valid JSON.", "Mend it at the place that is named."),
)
_FIELDS: Final = (
    FaultCode(
        "version_unsupported", "`flowforge` is missing or names a version that is not understood.", "Write `flowforge: 1`."
    ),
    FaultCode("field_unknown", "There is no such field here.", "Correct the name; the message lists those that are known."),
    FaultCode("required", "A field that must be there is missing, or a list is empty that must not be.", "Add it."),
    FaultCode("type", "The value has the wrong JSON type.", "Write a value of the type that the message names."),
    FaultCode("value", "The value is not allowed here.", "Write one as the message says."),
    FaultCode("range", "A number is too small or too large.", "Keep it between the bounds that the message names."),
    FaultCode("length", "A text, list or object is too short or too long.", "Keep it between the bounds that the message names."),
    FaultCode("format", "A text does not have the format that the schema asks for.", "Write it in that format."),
    FaultCode("choice", "The value is not one of the few that are allowed.", "Take one that the message lists."),
    FaultCode("one_of", "Of several fields exactly one, or at least one, must be there.", "Keep the one that is meant."),
    FaultCode(
        "duration", "A length of time is malformed, zero, negative or too long.", "Write it like 30s, 5m, 1h30m, 7d or PT30S."
    ),
    FaultCode("time", "A moment is malformed or has no zone.", "Write it like 2030-01-31T07:00:00Z."),
    FaultCode("rate", "A rate is malformed.", "Write it like 10/s, 100/5m or 1000/h."),
    FaultCode("name_invalid", "A name has characters that are not allowed, or means something else.", "Choose another name."),
    FaultCode("id_invalid", "The id of a step or trigger is not allowed.", "Use small letters, digits and underscores."),
    FaultCode("id_duplicate", "Two steps of one graph, or two triggers, have the same id.", "Rename one of them."),
    FaultCode("not_applicable", "The field or value makes no sense for this kind of step or in this place.", "Remove it."),
    FaultCode("loop_bound", "The limit of a flow.repeat is zero or above LIMIT_LOOP_MAX.", "Choose a limit between."),
    FaultCode("schema_invalid", "`input` is no JSON Schema (2020-12).", "Mend the schema at the place that is named."),
    FaultCode("schema_ref", "A `$ref` in `input` leads out of the document or nowhere.", "Move what it names into `$defs`."),
    FaultCode(
        "cron_fields",
        "A cron expression has neither five fields nor, where LIMIT_CRON_MIN is below a minute, six.",
        "Write minute, hour, day, month and weekday; six begin with the seconds.",
    ),
    FaultCode("cron_length", "A cron expression is too long.", "Use lists and steps, or several triggers."),
    FaultCode("cron_syntax", "A cron expression has characters or a name that are not allowed.", "Write it like `0 7 * * 1-5`."),
)
_GRAPH: Final = (
    FaultCode("steps_max", "There are more steps than LIMIT_STEPS_MAX, those in loops counted.", "Use flow.call."),
    FaultCode(
        "kind_unknown", "There is no such kind of step or trigger.", "Correct `uses`, or install the package that brings it."
    ),
    FaultCode(
        "not_installed", "The kind is known but not installed; a run is refused.", "Install it before running.", is_warning=True
    ),
    FaultCode("ref_unknown", "A step, port or field that is named does not exist.", "Correct the name."),
    FaultCode("ref_order", "An expression reads a step that cannot have run yet.", "Let the step follow the one it reads."),
    FaultCode("port_missing", "A step follows one without an ordinary exit.", "Name the port, as in `after: choose.default`."),
    FaultCode("after_duplicate", "A port of a source is named twice.", "Name it once."),
    FaultCode("join_impossible", "`join: all` waits for two ports of one step.", "Use `join: merge`."),
    FaultCode("cycle", "Steps wait for each other in a circle.", "Use flow.foreach or flow.repeat for loops."),
    FaultCode("unreachable", "No run can ever come to the step.", "Mend `after`, or remove the step."),
)
_EXPRESSIONS: Final = (
    FaultCode("expr_not_allowed", "An expression stands where only a constant may.", "Write a constant."),
    FaultCode("expr_empty", "There is nothing between `${{` and `}}`.", "Write an expression."),
    FaultCode("expr_syntax", "The expression cannot be read.", "Mend it at the place that is named."),
    FaultCode("expr_src", "The expression is longer than LIMIT_EXPR_SRC.", "Split it with flow.set."),
    FaultCode("expr_depth", "The expression is nested deeper than LIMIT_EXPR_DEPTH.", "Split it with flow.set."),
    FaultCode("expr_nodes", "The expression has more parts than LIMIT_EXPR_NODES.", "Split it with flow.set."),
    FaultCode("expr_unknown_member", "The value does not have the field that is read.", "Correct the name."),
    FaultCode("name_unknown", "The expression names something that cannot be seen here.", "Correct the name."),
    FaultCode("function_unknown", "There is no such function.", "Correct the name; the reference lists all functions."),
    FaultCode(
        "function_arguments", "A function gets too few, too many or the wrong arguments.", "Call it as its signature says."
    ),
    FaultCode("regex_invalid", "A regular expression cannot be used.", "Write it in RE2's syntax."),
    FaultCode("secret_context", "A secret stands where it may not.", "Hand it on as a whole, in a parameter that takes secrets."),
    FaultCode("script_syntax", "A script cannot be read.", "Mend it at the line that is named."),
    FaultCode("script_src", "A script is longer than LIMIT_SCRIPT_SRC.", "Split it into two steps."),
    FaultCode("body_template", "An expression stands inside a JSON body that is given as text.", "Build the body from values."),
    FaultCode("type_mismatch", "The value has a type that cannot be used here.", "Make it the type that the message names."),
    FaultCode("previous_parallel", "`previous` is read in a loop that runs several items at once.", "Set its concurrency to 1."),
    FaultCode("vars_computed", "A variable's name is computed.", "Write its name: `vars.NAME`."),
    FaultCode(
        "secret_in_definition",
        "There seems to be a secret in plain text.",
        "Store it with `flowforge secrets set` and write `${{ secrets.NAME }}`.",
        is_warning=True,
    ),
    FaultCode("too_many_faults", "There are more faults than are told at once.", "Mend those that are told first."),
)

CODES: Final[Mapping[str, FaultCode]] = {entry.code: entry for entry in (*_READING, *_FIELDS, *_GRAPH, *_EXPRESSIONS)}
"""All codes, in the order of the reference."""
