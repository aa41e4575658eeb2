"""`python -m tests.soak [SET...]`: SOAK_SECONDS (600) for each set, with SOAK_SEED (else by chance); the progress is shown.

Exits with 1 if anything is wrong.
"""

import os
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from tests.soak.harness import SETS, run_soak


def main() -> None:
    seconds = float(os.environ.get("SOAK_SECONDS", "600"))
    seed = int(os.environ.get("SOAK_SEED", SystemRandom().randrange(1_000_000)))
    is_sound = True
    for name in sys.argv[1:] or SETS:
        say(f"{name}: {seconds:g} s, seed {seed}")
        with tempfile.TemporaryDirectory(prefix="soak") as folder:
            report = run_soak(name, Path(folder), seconds, seed, say)
        for problem in report.problems[:50]:
            say(f"  {problem}")
        say(report.describe())
        is_sound = is_sound and not report.problems
    sys.exit(0 if is_sound else 1)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
