"""Patterns of `%` and a letter for times, as `strftime` has them: reading by a pattern, and writing by one. English names."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flowforge.operations import FatalError
from flowforge.steps.time.parts import MONTHS, WEEKDAYS

if TYPE_CHECKING:
    from whenever import ZonedDateTime

TOKENS: Final = (
    "%Y year, %y its last two digits, %m month, %B and %b its name, %d day, %j day of the year, %G and %V year and week by ISO 8601, %u "
    "day of the week (1 is Monday), %A and %a its name, %H hour, %I hour of 12 with %p AM or PM, %M minute, %S second, %L milliseconds, "
    "%f microseconds, %N nanoseconds, %z offset (+0100), %:z offset (+01:00), %Z name of the zone, %s seconds since 1970, %F is %Y-%m-%d, "
    "%T is %H:%M:%S, %% a percent sign. A hyphen (%-d) writes a number without zeros before it."
)

_TOKEN: Final = re.compile(r"%(:z|-?[A-Za-z%])")
_SHORT_FORMS: Final = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M"}
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "B": MONTHS,
    "b": tuple(name[:3] for name in MONTHS),
    "A": WEEKDAYS,
    "a": tuple(name[:3] for name in WEEKDAYS),
}
_WIDTHS: Final = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3, "G": 4, "V": 2, "u": 1, "H": 2, "I": 2, "M": 2, "S": 2}
_FRACTIONS: Final = {"L": 3, "f": 6, "N": 9}
_OFFSET: Final = re.compile(r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2})?)")
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]*")
_EPOCH: Final = re.compile(r"-?[0-9]{1,12}")
_PART_NAMES: Final = {
    "Y": "year", "y": "year", "m": "month", "d": "day", "j": "day of the year", "G": "year", "V": "week", "u": "day of the week",
    "H": "hour", "I": "hour", "M": "minute", "S": "second", "L": "fraction", "f": "fraction", "N": "fraction", "z": "offset",
    ":z": "offset",
    "Z": "time zone", "s": "seconds", "p": "AM or PM", "B": "month", "b": "month", "A": "day of the week", "a": "day of the week",
}  # fmt: skip


def make_fault(part: str, message: str) -> FatalError:
    """The error of a time whose part is wrong."""
    return FatalError(message, code="time_invalid", details={"part": part})


@dataclass(slots=True)
class Found:
    """What a text says about a time. None where it says nothing."""

    numbers: dict[str, int] = field(default_factory=dict[str, int])
    fraction_ns: int = 0
    offset_s: int | None = None
    zone: str | None = None


def check_pattern(pattern: str) -> str:
    """The pattern itself, once all of its letters are known.

    Raises:
        ValueError: one is not.
    """
    for letter, text in split_pattern(pattern):
        if letter is None and "%" in text:
            raise ValueError(f"a single % stands before no letter; %% is a percent sign: {text!r}")
        if letter is not None and letter.removeprefix("-") not in _PART_NAMES:
            raise ValueError(f"%{letter} is not known. {TOKENS}")
    return pattern


def split_pattern(pattern: str) -> Iterator[tuple[str | None, str]]:
    """The letters of the pattern, and the texts between them as (None, text), where NUL stands for a percent sign."""
    place = 0
    for match in _TOKEN.finditer(pattern):
        if match.start() > place:
            yield None, pattern[place : match.start()]
        place = match.end()
        if match[0] in _SHORT_FORMS:
            yield from split_pattern(_SHORT_FORMS[match[0]])
        else:
            yield (None, "\0") if match[1] == "%" else (match[1], match[0])
    if place < len(pattern):
        yield None, pattern[place:]


class PatternReader:
    """Reads one text by a pattern."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self.found = Found()

    def read(self, pattern: str) -> Found:
        """What the text says.

        Raises:
            FatalError: `time_invalid`, which names the part.
        """
        for letter, text in split_pattern(pattern):
            if letter is None:
                self._skip(text.replace("\0", "%"))
            else:
                self._read_letter(letter.removeprefix("-"))
        if self._text[self._place :].strip():
            raise make_fault("end", f"{self._text!r} goes on behind what the pattern reads, from character {self._place + 1} on.")
        return self.found

    def _skip(self, text: str) -> None:
        """Spaces in the pattern stand for any number of spaces."""
        for piece in re.split(r"(\s+)", text):
            if piece.isspace():
                self._skip_spaces()
            elif self._text.startswith(piece, self._place):
                self._place += len(piece)
            else:
                raise make_fault(
                    "text", f"{self._text!r} does not have {piece!r} at character {self._place + 1}, where the pattern does."
                )

    def _skip_spaces(self) -> None:
        while self._place < len(self._text) and self._text[self._place].isspace():
            self._place += 1

    def _read_letter(self, letter: str) -> None:
        if letter in _NAMES:
            self._read_name(letter)
        elif letter in _FRACTIONS:
            digits = self._take(re.compile(r"[0-9]{1,9}"), letter)
            self.found.fraction_ns = int(digits.ljust(9, "0"))
        elif letter in {"z", ":z"}:
            self._read_offset(letter)
        elif letter == "Z":
            self.found.zone = self._take(_ZONE, letter)
        elif letter == "p":
            half = self._take(re.compile(r"[AaPp]\.?[Mm]\.?"), letter)
            self.found.numbers["p"] = int(half[0] in "Pp")
        elif letter == "s":
            self.found.numbers["s"] = int(self._take(_EPOCH, letter))
        else:
            width = _WIDTHS[letter]
            least = width if letter in {"Y", "y", "G"} else 1
            self.found.numbers[letter] = int(self._take(re.compile(rf"[0-9]{{{least},{width}}}"), letter))

    def _read_name(self, letter: str) -> None:
        rest = self._text[self._place :].casefold()
        for number, name in enumerate(_NAMES[letter]):
            if rest.startswith(name.casefold()):
                self._place += len(name)
                self.found.numbers["m" if letter in "Bb" else "u"] = number + 1
                return
        raise self._make_missing(letter)

    def _read_offset(self, letter: str) -> None:
        match = _OFFSET.match(self._text, self._place)
        if match is None:
            raise self._make_missing(letter)
        self._place = match.end()
        hours, minutes = int(match[2] or 0), int(match[3] or 0)
        if hours > 23 or minutes > 59:
            raise make_fault("offset", f"The offset {match[0]} is too large.")
        self.found.offset_s = (hours * 3600 + minutes * 60) * (-1 if match[1] == "-" else 1)

    def _take(self, pattern: "re.Pattern[str]", letter: str) -> str:
        match = pattern.match(self._text, self._place)
        if match is None:
            raise self._make_missing(letter)
        self._place = match.end()
        return match[0]

    def _make_missing(self, letter: str) -> FatalError:
        part = _PART_NAMES[letter]
        return make_fault(part, f"{self._text!r} has no {part} (%{letter}) at character {self._place + 1}.")


def write_pattern(time: "ZonedDateTime", pattern: str) -> str:
    """The time, written by the pattern."""
    return "".join(_write_letter(time, letter) if letter else text.replace("\0", "%") for letter, text in split_pattern(pattern))


def _write_letter(time: "ZonedDateTime", letter: str) -> str:
    bare = letter.removeprefix("-")
    if bare in _WRITERS:
        return _WRITERS[bare](time)
    if bare in _FRACTIONS:
        return f"{time.nanosecond:09d}"[: _FRACTIONS[bare]]
    number = _find_number(time, bare)
    return str(number) if letter != bare else f"{number:0{_WIDTHS[bare]}d}"


def _find_number(time: "ZonedDateTime", letter: str) -> int:
    date = time.date().to_stdlib()
    iso_year, iso_week, weekday = date.isocalendar()
    numbers = {
        "Y": time.year,
        "y": time.year % 100,
        "m": time.month,
        "d": time.day,
        "j": date.timetuple().tm_yday,
        "G": iso_year,
        "V": iso_week,
        "u": weekday,
        "H": time.hour,
        "I": (time.hour + 11) % 12 + 1,
        "M": time.minute,
        "S": time.second,
    }
    return numbers[letter]


def _write_offset(time: "ZonedDateTime", separator: str) -> str:
    offset_s = round(time.offset.total("seconds"))
    hours, rest = divmod(abs(offset_s), 3600)
    return f"{'-' if offset_s < 0 else '+'}{hours:02d}{separator}{rest // 60:02d}"


_WRITERS: Final[dict[str, Callable[["ZonedDateTime"], str]]] = {
    "B": lambda time: MONTHS[time.month - 1],
    "b": lambda time: MONTHS[time.month - 1][:3],
    "A": lambda time: WEEKDAYS[time.date().to_stdlib().weekday()],
    "a": lambda time: WEEKDAYS[time.date().to_stdlib().weekday()][:3],
    "p": lambda time: "PM" if time.hour >= 12 else "AM",
    "z": lambda time: _write_offset(time, ""),
    ":z": lambda time: _write_offset(time, ":"),
    "Z": lambda time: time.tz_abbrev(),
    "s": lambda time: str(time.timestamp()),
}
