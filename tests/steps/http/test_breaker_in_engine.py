"""A host that fails, seen from a run: its steps are put off, and the run says why it waits."""

from pathlib import Path
from typing import cast

import orjson
from tests.support.documents import make_document
from tests.support.installed import open_installed
from tests.support.servers import Reply, serve_http

from flowforge.engine.why import say_why
from flowforge.kit.values import JsonObject

CALLS = 20
"""As many failed calls open the circuit."""


async def test_f58_run_waits_for_a_host_that_fails_and_why_names_it(tmp_path: Path):
    async with serve_http() as server, open_installed(tmp_path, EGRESS_ALLOW=f"127.0.0.1:{server.port}") as place:
        server.on("/", Reply(503))
        call = f"{{id: call, uses: http.request, with: {{url: '{server.url}/'}}}}"
        items = "${{ [" + ", ".join(["0"] * CALLS) + "] }}"
        steps = (
            f"- id: calls\n  uses: flow.foreach\n  with: {{items: '{items}', on_item_error: continue}}\n  steps:\n    - {call}\n"
            f"- {{id: last, uses: http.request, with: {{url: '{server.url}/'}}}}\n"
        )
        (tmp_path / "failing.yaml").write_text(make_document(steps))
        started = await place.start(tmp_path / "failing.yaml")
        stands_still = await place.finish(started, 1_000)
        glance = place.installation.store.glance(started.run_no)
        assert glance is not None
        assert glance.why is not None
        sentence = say_why(cast("JsonObject", orjson.loads(glance.why)), place.installation.clock.now_ms())

    assert stands_still.status == "waiting"
    (put_off,) = [event for event in stands_still.of("step.failed") if event["step"] == "last"]
    assert put_off["postponed"] is True
    assert len(server.received) == CALLS
    assert sentence.startswith("The step last waits for 127.0.0.1, which failed too often: its circuit breaker is open, and")
