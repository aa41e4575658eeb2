"""Writes the pages that are generated from the code. `make generate` runs it; a test finds pages that are not current.

A page is one line in `GENERATORS`: its path, and the function that gives its text. The text depends on the code alone.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]

if __name__ == "__main__":
    # Started as a script, Python finds the folder of the script but not the repository.
    sys.path.insert(0, str(REPOSITORY))

from scripts.errors_page import render_errors  # noqa: E402
from scripts.host_types import render_javascript_types, render_python_types  # noqa: E402
from scripts.language_page import render_language  # noqa: E402
from scripts.openapi_document import TARGET, render_openapi  # noqa: E402
from scripts.operations_page import list_shipped, render_cli, render_index, render_page  # noqa: E402
from scripts.schema_file import render_schema  # noqa: E402
from scripts.settings_page import render_settings  # noqa: E402
from scripts.sqlite_script import TARGET as SQLITE_SCRIPT  # noqa: E402
from scripts.sqlite_script import render_sqlite_script  # noqa: E402

GENERATORS: Final[tuple[tuple[str, Callable[[], str]], ...]] = (
    ("docs/cli.md", render_cli),
    ("docs/errors.md", render_errors),
    ("docs/language.md", render_language),
    ("docs/operations/README.md", render_index),
    *((f"docs/operations/{operation.name}.md", partial(render_page, operation)) for operation in list_shipped()),
    ("docs/script-host.d.ts", render_javascript_types),
    ("docs/script_host.pyi", render_python_types),
    ("docs/settings.md", render_settings),
    ("docs/workflow.schema.json", render_schema),
    (TARGET.as_posix(), lambda: render_openapi().decode()),
    (SQLITE_SCRIPT, render_sqlite_script),
)


def list_outdated() -> list[str]:
    """The pages whose text on disk is not what the code gives, and those of operations that are no more."""
    known = {path for path, _ in GENERATORS}
    found = (page.relative_to(REPOSITORY).as_posix() for page in (REPOSITORY / "docs" / "operations").glob("*.md"))
    return [path for path, render in GENERATORS if _read(path) != render()] + [path for path in found if path not in known]


def write_pages() -> list[str]:
    """Write every outdated page; returns which."""
    outdated = list_outdated()
    for path, render in GENERATORS:
        if path in outdated:
            (REPOSITORY / path).parent.mkdir(parents=True, exist_ok=True)
            (REPOSITORY / path).write_text(render(), "utf-8")
    for path in set(outdated) - {path for path, _ in GENERATORS}:
        (REPOSITORY / path).unlink()
    return outdated


def _read(path: str) -> str | None:
    file = REPOSITORY / path
    return file.read_text("utf-8") if file.exists() else None


if __name__ == "__main__":
    for written in write_pages():
        sys.stdout.write(f"wrote {written}\n")
