"""Documentation, graph and start form of a workflow."""

import re

import pytest
from tests.workflows.api_lab import ApiLab, code_of, write_yaml

RICH = """flowforge: 1
name: order
title: 'Orders | "all" of them <b>'
description: |
  Takes orders.
  Checks them.
labels: {team: sales}
subject: "${{ input.id }}"
input:
  type: object
  required: [id]
  properties:
    id: {type: string, description: The order's number}
    count: {type: integer, default: 3}
    kind: {enum: [a, b]}
steps:
  - id: check
    uses: flow.if
    title: Is it "large"?
    with: {condition: "${{ input.count > 2 || false }}"}
  - id: items
    uses: flow.foreach
    after: check.true
    with:
      items: "${{ [1, 2] }}"
    steps:
      - id: fetch
        uses: http.request
        with: {url: "https://example.com/${{ item }}"}
        retry: {attempts: 3}
  - id: none
    uses: flow.stop
    after: check.false
on_failure:
  - id: tell
    uses: log.write
    with: {message: It failed}
"""


async def make(lab: ApiLab) -> None:
    answer = await lab.ask("POST", "/workflows", {"yaml": RICH})
    assert answer.status_code == 201, answer.text


async def test_documentation_has_a_diagram_and_no_mark_of_its_own_from_the_document(lab: ApiLab):
    await make(lab)
    answer = await lab.ask("GET", "/workflows/order/docs")
    text = answer.text
    assert answer.headers["content-type"].startswith("text/markdown")
    assert text.startswith('# Orders \\| "all" of them \\<b\\>\n\n`order`, the draft\n')
    assert "| `id` | `string` | yes |  | The order's number |" in text
    assert "| `count` | `integer` |  | `3` |  |" in text
    assert "```mermaid\nflowchart TD" in text
    assert 'n0{"Is it #34;large#34;#63;"}' in text
    assert 'subgraph n1 ["items"]' in text
    assert 'n0 -->|"true"| n1' in text
    assert 'subgraph on_failure ["If it fails"]' in text
    assert "| `items/fetch` | `http.request` |" in text
    assert "3 attempts" in text


async def test_a14_documentation_holds_no_mark_and_no_link_that_a_document_brought(lab: ApiLab):
    evil = "</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](https://evil.example/c) ```"
    document = write_yaml("order").replace("name: order\n", f"name: order\ntitle: '{evil}'\ndescription: '{evil}'\n")
    assert (await lab.ask("POST", "/workflows", {"yaml": document})).status_code == 201
    answer = await lab.ask("GET", "/workflows/order/docs")
    before_diagram = answer.text.partition("```mermaid")[0]
    assert "script" in before_diagram
    assert not re.search(r"(?<!\\)[<\[\]`]", before_diagram.replace("`order`", ""))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_documentation_tells_which_version_it_is_of(lab: ApiLab):
    await lab.publish("order")
    assert "`order`, version 1" in (await lab.ask("GET", "/workflows/order/docs")).text
    assert (await lab.ask("GET", "/workflows/order/docs?version=draft")).status_code == 404
    assert (await lab.ask("GET", "/workflows/order/docs?version=2")).status_code == 404


async def test_graph_has_every_step_and_edge(lab: ApiLab):
    await make(lab)
    graph = (await lab.ask("GET", "/workflows/order/graph")).json()
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert list(nodes) == ["check", "items", "items/fetch", "none", "on_failure/tell"]
    assert (nodes["items/fetch"]["within"], nodes["items/fetch"]["effect"], nodes["check"]["effect"]) == ("items", True, False)
    assert nodes["on_failure/tell"]["section"] == "on_failure"
    edges = [(edge["from"], edge["port"], edge["to"]) for edge in graph["edges"]]
    assert edges == [("check", "true", "items"), ("check", "false", "none")]


async def test_start_form_has_the_schema_and_its_defaults(lab: ApiLab):
    await make(lab)
    form = (await lab.ask("GET", "/workflows/order/start-form")).json()
    assert form["schema"]["required"] == ["id"]
    assert (form["defaults"], form["version"]) == ({"count": 3}, None)
    await lab.publish("plain")
    plain = (await lab.ask("GET", "/workflows/plain/start-form")).json()
    assert (plain["schema"], plain["defaults"], plain["version"]) == ({"type": "object"}, {}, 1)


@pytest.mark.parametrize("path", ["docs", "graph", "start-form"])
async def test_draft_with_faults_has_no_picture(lab: ApiLab, path: str):
    bad = write_yaml("order").replace("flow.set", "flow.nothing")
    await lab.ask("POST", "/workflows?allow_faults=true", {"yaml": bad})
    answer = await lab.ask("GET", f"/workflows/order/{path}")
    assert (answer.status_code, code_of(answer)) == (422, "kind_unknown")
