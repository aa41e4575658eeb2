"""docs/events.md names every event that the code makes, and no other."""

import re

from tests.architecture.sources import REPOSITORY

NAMED = re.compile(r"`((?:run|step)\.[a-z_]+)`")


def test_catalogue_is_that_of_the_code():
    stream = (REPOSITORY / "src/flowforge/runs/events.py").read_text("utf-8")
    outbox = (REPOSITORY / "src/flowforge/engine/outbox_events.py").read_text("utf-8")
    made = set(re.findall(r'yield "([a-z.]+)"', stream)) | set(re.findall(r'return "([a-z.]+)"', outbox))
    made |= set(re.findall(r': "(run\.[a-z]+)"', outbox))
    assert {"run.started", "run.paused", "step.failed"} <= made
    page = (REPOSITORY / "docs/events.md").read_text("utf-8")
    table = page[page.index("## The catalogue") : page.index("## Topics")]
    assert set(NAMED.findall(table)) == made
