"""The workflow in README.md, against a server."""

import json
from pathlib import Path

from tests.architecture.sources import REPOSITORY
from tests.docs.blocks import read_blocks
from tests.support.installed import open_installed
from tests.support.servers import Reply, serve_http


async def test_the_workflow_of_the_readme_fetches_and_reports(tmp_path: Path):
    (block,) = [block for block in read_blocks((REPOSITORY / "README.md").read_text("utf-8")) if block.is_workflow]
    workflow = tmp_path / block.title
    workflow.write_text(block.text, "utf-8")
    assert len(block.text.splitlines()) <= 20
    async with serve_http() as server, open_installed(tmp_path, EGRESS_ALLOW=f"127.0.0.1:{server.port}") as place:
        answers = [Reply(503, (("Retry-After", "0"),)), Reply(), Reply()]
        server.on("/shaky", lambda _: answers.pop(0))
        urls = [f"{server.url}/steady", f"{server.url}/shaky"]
        ended = await place.run(workflow, {"urls": [*urls]})
        report = json.loads((place.work / "reachable.json").read_text("utf-8"))
    assert (ended.status, ended.output) == ("completed", 2)
    assert report == [{"url": url, "status": 200} for url in urls]
    assert len(answers) == 1
