"""`flowforge operations`."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import typer

from flowforge.entrypoints.calls import call_operation
from flowforge.entrypoints.cli.arguments import read_json, read_pairs, set_paths, set_value
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.columns import Column, field, show_value
from flowforge.entrypoints.cli.commands.schema import make_schema
from flowforge.entrypoints.cli.failures import CommandFailedError, describe_detail
from flowforge.entrypoints.cli.files import save_file, store_file
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.output import Output
from flowforge.entrypoints.wiring import Toolbox, open_installation
from flowforge.kit.errors import ValidationError
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.operations.context import LogWriter
from flowforge.operations.definition import AttemptError, Operation
from flowforge.operations.reference import list_fields, name_result

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="What a step can do: list, reference, call."
)

COLUMNS = (
    field("operation", "name", style="bold"),
    field("category", "category"),
    field("nature", "nature"),
    field("from", "package"),
    field("what it does", "title"),
)
_PARAMETERS = (
    Column("parameter", lambda row: show_value(row["name"]) + ("" if row["required"] else "?"), style="bold"),
    field("type", "type"),
    field("default", "default"),
    field("meaning", "description"),
)
_FAULTS = (field("parameter", "field", style="bold"), field("message", "message"), field("code", "code"))
_RESULT = (field("result", "name", style="bold"), field("type", "type"), field("meaning", "description"))


def _summarise(toolbox: Toolbox, operation: Operation) -> JsonObject:
    return {
        "name": operation.name,
        "title": operation.title,
        "category": operation.category,
        "nature": operation.nature.value,
        "version": operation.version,
        "package": toolbox.registry.get_source(operation.name),
    }


def _describe(toolbox: Toolbox, operation: Operation) -> JsonObject:
    more: JsonObject = {
        "description": operation.description,
        "ports": [*operation.ports],
        "parameters": operation.parameters_schema,
        "result": operation.result_schema,
        "secret_parameters": [*sorted(operation.secret_parameters)],
        "errors": [{"code": error.code, "meaning": error.meaning, "retryable": error.retryable} for error in operation.errors],
        "examples": [
            {"title": example.title, "parameters": example.parameters, "result": example.result} for example in operation.examples
        ],
    }
    return _summarise(toolbox, operation) | more


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All operations that are installed here."""
    frame = frame_of(ctx)
    toolbox = Toolbox(frame.load_settings())
    frame.output.write_rows([_summarise(toolbox, operation) for operation in toolbox.registry.all()], COLUMNS)
    for problem in toolbox.registry.problems:
        frame.output.say(problem)


@app.command()
def show(ctx: typer.Context, name: Annotated[str, typer.Argument(help="Like http.request.")]) -> None:
    """The reference of one operation: parameters, result, errors, examples."""
    frame = frame_of(ctx)
    toolbox = Toolbox(frame.load_settings())
    operation = toolbox.registry.get(name)
    if frame.output.is_json:
        frame.output.write_line(_describe(toolbox, operation))
        return
    print_reference(frame.output, _describe(toolbox, operation), name_result(operation))


def print_reference(output: Output, described: JsonObject, result_sentence: str) -> None:
    """An operation for a person. `result_sentence`: what its result is where that is no object with fields of its own."""
    output.write_text(f"{described['name']}  {described['title']} ({described['nature']})\n\n{described['description']}\n")
    output.write_rows(_list_rows(cast("JsonObject", described["parameters"])), _PARAMETERS, empty="It takes no parameters.")
    output.write_text("")
    if result := _list_rows(cast("JsonObject", described["result"])):
        output.write_rows(result, _RESULT)
    else:
        output.write_text(f"Result: {result_sentence}")
    for error in cast("list[JsonObject]", described["errors"]):
        output.write_text(f"  error {error['code']}: {error['meaning']}")
    for example in cast("list[JsonObject]", described["examples"]):
        given, gives = (json.dumps(example[part], ensure_ascii=False) for part in ("parameters", "result"))
        output.write_text(f"\n{example['title']}:\n  with:  {given}\n  gives: {gives}")


def _list_rows(schema: JsonObject) -> list[JsonObject]:
    return [
        {
            "name": name.replace("`", ""),
            "type": kind.replace("`", ""),
            "default": "" if default == "required" else default.replace("`", ""),
            "description": meaning,
            "required": default == "required",
        }
        for name, kind, default, meaning in list_fields(schema)
    ]


@app.command()
def schema(ctx: typer.Context, name: Annotated[str, typer.Argument(help="Like http.request.")]) -> None:
    """The JSON Schemas of an operation's parameters and result."""
    frame = frame_of(ctx)
    made = make_schema(Toolbox(frame.load_settings()), name)
    frame.output.write_text(json.dumps(made, ensure_ascii=False, indent=2))


@app.command()
def call(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Like crypto.hash.")],
    *,
    input_: Annotated[str, typer.Option("--input", help="The parameters: JSON, @FILE, or - for stdin.")] = "{}",
    set_: Annotated[list[str] | None, typer.Option("--set", help="path=value (repeatable).", show_default=False)] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="path=FILE: a file of this machine as a file value (repeatable).", show_default=False),
    ] = None,
    save: Annotated[
        str, typer.Option("--save", help="Where the file goes that the result is, or holds.", show_default=False)
    ] = "",
) -> None:
    """Call an operation once, here and now, without a run. Its effects are real, and not recorded."""
    frame = frame_of(ctx)
    limits = frame.load_settings().limits
    parameters = set_paths(read_json(input_, limits, "--input"), set_ or [], limits)
    try:
        objects, result = _call(frame, name, parameters, read_pairs(file or [], "--file"))
    except InvalidParametersError as error:
        raise ValidationError(error.message, error.faults) from error
    except AttemptError as error:
        told: JsonObject = {"code": error.code, "message": error.message, "details": error.details}
        frame.output.write_error([f"{name} failed: {error.message} ({error.code})"], {"error": told})
        raise CommandFailedError(ExitCode.FAILED) from error
    except KeyboardInterrupt:
        frame.output.say(f"Interrupted; what {name} had done outside by then stays done.")
        raise CommandFailedError(ExitCode.INTERRUPTED) from None
    # Told first: where it cannot be saved, what was done is known nevertheless.
    frame.output.write_text(json.dumps(result, ensure_ascii=False, indent=None if frame.output.is_json else 2))
    if save:
        save_file(objects, result, save)


@app.command("test")
def check(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Like crypto.hash.")],
    *,
    input_: Annotated[str, typer.Option("--input", help="The parameters: JSON, @FILE, or - for stdin.")] = "{}",
    set_: Annotated[list[str] | None, typer.Option("--set", help="path=value (repeatable).", show_default=False)] = None,
) -> None:
    """Check the parameters of an operation; nothing is called. Leaves with 1 where they do not fit."""
    frame = frame_of(ctx)
    settings = frame.load_settings()
    operation = Toolbox(settings).registry.get(name)
    parameters = set_paths(read_json(input_, settings.limits, "--input"), set_ or [], settings.limits)
    try:
        validate_parameters(operation, parameters)
    except InvalidParametersError as error:
        print_verdict(frame.output, [describe_detail(fault) for fault in error.faults])
    else:
        print_verdict(frame.output, [])


def print_verdict(output: Output, faults: Sequence[JsonObject]) -> None:
    """Whether parameters fit, and each fault. Raises CommandFailedError where they do not."""
    if output.is_json:
        output.write_line({"valid": not faults, "errors": [*faults]})
    elif faults:
        output.write_rows(faults, _FAULTS)
    else:
        output.say("The parameters fit.")
    if faults:
        raise CommandFailedError(ExitCode.FAILED)


def _call(frame: Frame, name: str, parameters: JsonValue, files: Mapping[str, str]) -> tuple[ObjectStore, JsonValue]:
    settings = frame.load_settings()
    operation = Toolbox(settings).registry.get(name)
    installation = open_installation(settings)

    async def call_and_close(given: JsonValue) -> JsonValue:
        try:
            return await call_operation(installation, operation, given, _make_log_writer(frame))
        finally:
            await installation.aclose()

    for path, source in files.items():
        parameters = set_value(parameters, path, store_file(installation.objects, source), "--file")
    return installation.objects, asyncio.run(call_and_close(parameters))


def _make_log_writer(frame: Frame) -> LogWriter:
    def say_line(level: str, message: str, fields: JsonObject) -> None:
        told = f" {json.dumps(fields, ensure_ascii=False)}" if fields else ""
        frame.output.say(f"{level}: {message}{told}")

    return say_line
