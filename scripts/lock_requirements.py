"""Compiles requirements/*.txt anew: every package of pyproject.toml, the extras' too, with its hashes, and no address in it.

`make lock` runs it. The compiler lives in an environment of its own that is thrown away; it follows this machine's pip settings.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
COMPILER: Final = "pip-tools>=7.5"
OPTIONS: Final = (
    "--generate-hashes",
    "--strip-extras",
    "--allow-unsafe",
    "--no-header",
    "--no-annotate",
    "--no-emit-options",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
    "--quiet",
)


def main() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    runtime: list[str] = project["project"]["dependencies"] + [wanted for extra in extras.values() for wanted in extra]
    groups: dict[str, list[str]] = project["dependency-groups"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        venv.create(place / "venv", with_pip=True)
        python = place / "venv" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", COMPILER], check=True)  # noqa: S603 (our own words)
        build: list[str] = project["build-system"]["requires"]
        lists = (("build", build), ("runtime", runtime), ("dev", runtime + groups["dev"]), ("bench", groups["bench"]))
        for name, wanted in lists:
            (place / f"{name}.in").write_text("\n".join(wanted) + "\n", "utf-8")
            output = REPOSITORY / "requirements" / f"{name}.txt"
            command = [
                python,
                "-m",
                "piptools",
                "compile",
                *OPTIONS,
                *sys.argv[1:],
                "--output-file",
                output,
                place / f"{name}.in",
            ]
            subprocess.run(command, check=True, cwd=place)  # noqa: S603 (as above)


if __name__ == "__main__":
    main()
