"""Draws what a command prints on a terminal as an SVG: the pictures in the documentation are real runs.

`python scripts/draw_terminal.py docs/pictures/up.svg flowforge up --once` runs the command on a new data folder, on a terminal of
`WIDTH` columns, and draws the prompt and what came to stdout. The environment is the caller's: FLOWFORGE_… settings pass through.
"""

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

WIDTH: Final = 120
HEIGHT: Final = 60
_FONTS: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Pictures must not fetch anything."""
_THEME: Final = TerminalTheme(
    (24, 26, 31),
    (214, 217, 224),
    [
        (60, 64, 72),
        (224, 108, 117),
        (126, 192, 119),
        (222, 184, 92),
        (97, 165, 236),
        (198, 120, 221),
        (86, 182, 194),
        (200, 204, 212),
    ],
    [
        (120, 126, 138),
        (240, 130, 138),
        (150, 210, 140),
        (236, 204, 120),
        (130, 188, 245),
        (214, 150, 232),
        (120, 204, 214),
        (240, 242, 246),
    ],
)


def main() -> None:
    target, *command = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        printed = run_on_terminal(command, {"FLOWFORGE_DATA": str(Path(folder) / "data"), **os.environ})
    Path(target).write_text(draw(shlex.join(command), printed.stdout), "utf-8")


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command printed, line ends as `\\n`, and how it ended."""

    stdout: str
    stderr: str
    exit_code: int


def run_on_terminal(command: list[str], environment: dict[str, str], cwd: Path | None = None) -> Printed:
    """Runs a command whose stdout is a terminal of `WIDTH` columns; stdin is empty, stderr goes to a file."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    environment = {**environment, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(  # noqa: S603 (the caller's command)
            command, stdin=subprocess.DEVNULL, stdout=writer, stderr=errors, env=environment, cwd=cwd
        ) as process:
            os.close(writer)
            printed = _read_all(reader)
        os.close(reader)
        errors.seek(0)
        return Printed(printed.decode().replace("\r\n", "\n"), errors.read(), process.returncode)


def _read_all(descriptor: int) -> bytes:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:
            # Linux tells the end of a terminal, whose other side is closed, as an error.
            return b"".join(parts)
        if not part:
            return b"".join(parts)
        parts.append(part)


def draw(command: str, printed: str) -> str:
    """The SVG of a prompt, a command and its output."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bright_black"), (command, "bold")))
    for line in printed.rstrip("\n").split("\n"):
        console.print(Text.from_ansi(line), overflow="crop", no_wrap=True)
    return _FONTS.sub("", console.export_svg(title="FlowForge", theme=_THEME, unique_id="terminal"))


if __name__ == "__main__":
    main()
