"""Checks what an expression reads: steps that can have run, members that exist, fields that the schemas have."""

from dataclasses import dataclass

from flowforge.kit.values import JsonObject
from flowforge.language.compiling.types import UnknownMember, find_output_schema, follow_schema
from flowforge.language.compiling.usage import Usage
from flowforge.language.compiling.views import ERROR_MEMBERS, RESUME_URL, STEP_MEMBERS, Refusal, View
from flowforge.language.expressions import Reference
from flowforge.language.faults import Sink, suggest_name
from flowforge.language.positions import Path
from flowforge.language.shapes import show


@dataclass(frozen=True, slots=True)
class Target:
    """One read: in the text at `path` its expression begins at `offset`."""

    reference: Reference
    path: Path
    offset: int
    view: View


class ReferenceChecker:
    """Checks the reads of one document."""

    def __init__(self, sink: Sink, usage: Usage, document: JsonObject) -> None:
        schema = document.get("input")
        self._input: JsonObject = schema if isinstance(schema, dict) else {}
        self._sink = sink
        self._usage = usage

    def check(self, target: Target) -> None:
        """Tells what is wrong with the read."""
        if self._sink.is_full:
            return
        names = target.reference.path
        match names[0]:
            case "steps":
                self._check_step(target, names)
            case "run":
                self._check_run(target, names)
            case "vars":
                self._check_variable(target, names)
            case "previous" if target.view.previous_is_parallel:
                message = "`previous` needs a loop with concurrency 1: with more there is no iteration before this one."
                self._refuse(target, "previous_parallel", message)
            case "input":
                self._check_members(target, self._input, names, 1)
            case _:
                return

    def find_schema(self, names: tuple[str, ...], view: View) -> JsonObject | None:
        """The schema of what the path reads, None where nothing is known."""
        if names[0] == "input":
            root, rest = self._input, names[1:]
        elif len(names) > 2 and (names[0], names[2]) == ("steps", "output"):
            step = view.find_step(names[1])
            root, rest = ({} if isinstance(step, Refusal) else find_output_schema(step)), names[3:]
        else:
            return None
        found = follow_schema(root, rest)
        return None if isinstance(found, UnknownMember) else found

    def _check_step(self, target: Target, names: tuple[str, ...]) -> None:
        if len(names) < 2:
            return
        step = target.view.find_step(names[1])
        if isinstance(step, Refusal):
            self._refuse(target, step.code, step.message, step.suggestion)
            return
        if len(names) < 3:
            return
        if names[2] not in STEP_MEMBERS:
            self._refuse_member(target, names[2], f"A step has no {show(names[2])}", STEP_MEMBERS)
        elif names[2] == "error" and len(names) > 3 and names[3] not in ERROR_MEMBERS:
            self._refuse_member(target, names[3], f"An error has no {show(names[3])}", ERROR_MEMBERS)
        elif names[2] == "output":
            self._check_members(target, find_output_schema(step), names, 3)

    def _check_run(self, target: Target, names: tuple[str, ...]) -> None:
        members = target.view.run_members
        if len(names) > 1 and names[1] not in members:
            hint = " outside `on_failure` and `finally`" if names[1] in ("status", "error") else ""
            self._refuse_member(target, names[1], f"`run` has no {show(names[1])}{hint}", members)
        elif names[1:2] == (RESUME_URL,):
            self._usage.reads_resume_url = True

    def _check_variable(self, target: Target, names: tuple[str, ...]) -> None:
        if len(names) > 1:
            self._usage.variables.add(names[1])
        else:
            message = "A variable is read by its name, `vars.NAME`: which ones a run needs must be known before it begins."
            self._refuse(target, "vars_computed", message)

    def _check_members(self, target: Target, schema: JsonObject, names: tuple[str, ...], start: int) -> None:
        """Fields that a schema without other fields does not have; where the read allows for absence, nothing is told."""
        if target.reference.is_optional:
            return
        found = follow_schema(schema, names[start:])
        if isinstance(found, UnknownMember):
            place = ".".join(names[: start + found.position])
            self._refuse_member(target, found.name, f"`{place}` has no field {show(found.name)}", found.known)

    def _refuse_member(self, target: Target, name: str, message: str, known: tuple[str, ...]) -> None:
        tail = f"; it has {', '.join(known[:40])}." if known else "."
        self._refuse(target, "expr_unknown_member", f"{message}{tail}", suggest_name(name, known))

    def _refuse(self, target: Target, code: str, message: str, suggestion: str | None = None) -> None:
        offset = target.offset + target.reference.offset
        self._sink.add(code, target.path, message, suggestion=suggestion, offset=offset)
