"""What is wrong with a document, said with the place and the way out."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from flowforge.kit.errors import Detail
from flowforge.language.positions import Path, Place, Positions

FAULTS_MAX: Final = 500
"""Faults that are told at once; what is beyond is counted by one more, `too_many_faults`."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class At(StrEnum):
    """Which part of a field a fault points at."""

    VALUE = "value"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Fault:
    """`code` is one of `language.codes.CODES`; `field` a dotted path (`steps[2].with.url`), "" for the whole document.

    `line` and `column` count from 1 (in characters) and are None where the document came as values, not as text.
    """

    code: str
    message: str
    field: str = ""
    line: int | None = None
    column: int | None = None
    severity: Severity = Severity.ERROR
    suggestion: str | None = None

    def to_detail(self) -> Detail:
        return Detail(self.field, self.message, self.code, self.line, self.column, self.suggestion)


def format_path(path: Sequence[str | int]) -> str:
    """`steps[2].with.headers["X-Trace id"]`: a name that is no plain word stands quoted in brackets."""
    text = ""
    for step in path:
        part = step.lstrip("\0") if isinstance(step, str) else step
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_NAME.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part[:64], ensure_ascii=False)}]"
    return text


def suggest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    found = get_close_matches(name[:64].lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


class Sink:
    """Collects faults, and knows where each field stands.

    A field that the reader found broken (an alias, a tag) is told once: later faults about it or about what is below are dropped.
    """

    def __init__(self, positions: Positions | None = None) -> None:
        self._positions = positions
        self._faults: dict[Fault, None] = {}
        self._broken: set[Path] = set()
        self._incomplete: set[Path] = set()
        self._dropped = 0

    def mark_broken(self, path: Path) -> None:
        self._broken.add(path)

    def mark_incomplete(self, path: Path) -> None:
        """A field of the object was refused under whatever name it has: nothing is said about fields that are missing there."""
        self._incomplete.add(path)

    @property
    def is_full(self) -> bool:
        """Whether further faults are only counted, so that nothing need be found out about them."""
        return len(self._faults) >= FAULTS_MAX

    def is_broken(self, path: Path) -> bool:
        return bool(self._broken) and any(path[:length] in self._broken for length in range(len(path) + 1))

    def add(
        self, code: str, path: Path, message: str, *, suggestion: str | None = None, at: At = At.VALUE, offset: int | None = None
    ) -> None:
        """An error. `offset` counts characters inside the field's text."""
        if self.is_full:
            self._dropped += 1
        elif not self.is_broken(path) and not (code == "required" and path[:-1] in self._incomplete):
            self.put(code, path, message, place=self._find_place(path, at, offset), suggestion=suggestion)

    def warn(self, code: str, path: Path, message: str, *, suggestion: str | None = None) -> None:
        self.put(
            code, path, message, place=self._find_place(path, At.VALUE, None), suggestion=suggestion, severity=Severity.WARNING
        )

    def put(
        self,
        code: str,
        path: Path,
        message: str,
        *,
        place: Place | None,
        suggestion: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """A fault at a place that the caller knows."""
        line, column = (place.line, place.column) if place is not None else (None, None)
        fault = Fault(code, message, format_path(path), line, column, severity, suggestion)
        if len(self._faults) < FAULTS_MAX:
            self._faults[fault] = None
        elif fault not in self._faults:
            self._dropped += 1

    def list_errors(self) -> tuple[Fault, ...]:
        """Errors in the order of the text."""
        errors = _sort_by_place(self._faults, Severity.ERROR)
        if self._dropped:
            errors.append(Fault("too_many_faults", f"There are {self._dropped} more faults; mend the ones above first."))
        return tuple(errors)

    def list_warnings(self) -> tuple[Fault, ...]:
        return tuple(_sort_by_place(self._faults, Severity.WARNING))

    @property
    def has_errors(self) -> bool:
        return any(fault.severity is Severity.ERROR for fault in self._faults)

    def _find_place(self, path: Path, at: At, offset: int | None) -> Place | None:
        if self._positions is None:
            return None
        return self._positions.find_key(path) if at is At.KEY else self._positions.find_value(path, offset)


def _sort_by_place(faults: Iterable[Fault], severity: Severity) -> list[Fault]:
    chosen = [fault for fault in faults if fault.severity is severity]
    return sorted(chosen, key=lambda fault: (fault.line or 0, fault.column or 0))
