"""Reads what the documentation shows, and checks what a command printed against it."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.architecture.sources import REPOSITORY

ANYTHING = "…"
"""In shown output: any text within a line; alone on a line, any lines."""

_FENCE = re.compile(r"^```(?P<language>[a-z]*) *(?P<rest>.*)$")
_PROMPT = "$ "
_OURS = re.compile(r"(^|\| )flowforge ")
_EXIT = re.compile(r"\s+# exit (\d+)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, what stands behind that (a file's name), the line of its first line, its text."""

    language: str
    title: str
    line: int
    text: str

    @property
    def is_workflow(self) -> bool:
        return self.language == "yaml" and re.search(r"^flowforge: 1\b", self.text, re.MULTILINE) is not None


@dataclass(slots=True)
class Command:
    """A line `$ flowforge …`, or a pipe into it, and the output that is shown below it; none is shown: any is fine.

    `# exit 3` behind it: the exit code is not 0.
    """

    line: int
    text: str
    exit_code: int
    shown: list[str] = field(default_factory=list[str])


def list_pages() -> list[Path]:
    """README and everything below docs."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def read_blocks(text: str) -> list[Block]:
    blocks: list[Block] = []
    opened: tuple[str, str, int] | None = None
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if opened is None:
            if match := _FENCE.match(line):
                opened, inside = (match["language"], match["rest"].strip(), number + 1), []
        elif line == "```":
            blocks.append(Block(*opened, "\n".join(inside) + "\n"))
            opened = None
        else:
            inside.append(line)
    return blocks


def read_commands(block: Block) -> list[Command]:
    """The commands of a console block that are ours; those of other programs are only shown."""
    commands: list[Command] = []
    is_ours = False
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith(_PROMPT):
            text = line.removeprefix(_PROMPT)
            is_ours = _OURS.search(text) is not None
            match = _EXIT.search(text)
            if is_ours:
                commands.append(Command(number, _EXIT.sub("", text), int(match[1]) if match else 0))
        elif is_ours:
            commands[-1].shown.append(line)
    return commands


def matches(shown: list[str], printed: str) -> bool:
    """Whether a command printed what is shown; white space at the ends of lines does not count."""
    lines = [line.rstrip() for line in shown]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return True
    patterns = [r"(?:.*\n)*" if line.strip() == ANYTHING else _pattern_of(line) for line in lines]
    text = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch("".join(patterns), text) is not None


def _pattern_of(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split(ANYTHING)) + r"[ ]*\n"
