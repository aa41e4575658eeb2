"""Small workflows that use every construct, for the crash harness: a document, the messages that it needs, and what stays open."""

from dataclasses import dataclass, field
from typing import Final

from tests.support.documents import make_document

from flowforge.kit.values import JsonObject


@dataclass(frozen=True, slots=True)
class Message:
    """Sent once the step named `after` appears in the book (or at once if None)."""

    kind: str
    body: JsonObject
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """`callees`: documents of called workflows. `expected`: the run's final status."""

    document: str
    messages: tuple[Message, ...] = ()
    callees: tuple[str, ...] = ()
    expected: str = "completed"
    ignored_output: bool = False
    signals: dict[str, str] = field(default_factory=dict[str, str])


SCENARIOS: Final[dict[str, Scenario]] = {
    "linear": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a, value: 1}}
- {id: b, uses: test.double, with: {number: "${{ steps.a.output.value }}"}}
- {id: c, uses: test.record, with: {name: c, value: "${{ steps.b.output.number }}"}}
- {id: d, uses: test.record, with: {name: d, value: "${{ steps.c.output.value + 1 }}"}}
""",
            'output: "${{ steps.d.output.value }}"\n',
        )
    ),
    "branches": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a, value: 5}}
- {id: check, uses: flow.if, with: {condition: "${{ steps.a.output.value > 3 }}"}}
- {id: yes, after: check.true, uses: test.record, with: {name: yes, value: 1}}
- {id: no, after: check.false, uses: test.record, with: {name: no, value: 2}}
- {id: never, after: check.true, when: false, uses: test.record, with: {name: never}}
- {id: left, after: yes, uses: test.record, with: {name: left, value: 3}}
- {id: right, after: never, uses: test.record, with: {name: right, value: 4}}
- {id: join, after: [left, right, "no"], uses: test.record, with: {name: join, value: "${{ steps.no.status }}"}}
""",
            'output: "${{ steps.join.output.value }}"\n',
        )
    ),
    "retries": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a, failures: 2, value: 7}, retry: {attempts: 6, initial: 20ms, backoff: fixed}}
- {id: b, uses: test.record, with: {name: b, failures: -1, fatal: true, code: gone}}
- {id: c, after: b.error, uses: test.record, with: {name: c, value: "${{ steps.b.error.code }}"}}
""",
            'output: ["${{ steps.a.output.value }}", "${{ steps.c.output.value }}"]\n',
        )
    ),
    "timer": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}}
- {id: nap, uses: flow.wait, with: {for: 450ms}}
- {id: b, uses: test.record, with: {name: b, value: 2}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        )
    ),
    "signal": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}}
- {id: ask, uses: flow.wait, with: {signal: go, key: "7"}}
- {id: b, uses: test.record, with: {name: b, value: "${{ steps.ask.output.word }}"}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        ),
        messages=(Message("signal", {"name": "go", "key": "7", "payload": {"word": "hello"}}, after="a"),),
    ),
    "early_signal": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}}
- {id: ask, uses: flow.wait, with: {signal: go}}
- {id: b, uses: test.record, with: {name: b, value: "${{ steps.ask.output }}"}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        ),
        messages=(Message("signal", {"name": "go", "payload": 9}),),
    ),
    "loop": Scenario(
        make_document(
            """
- id: each
  uses: flow.foreach
  with: {items: [1, 2, 3, 4], concurrency: 2}
  steps:
    - {id: mark, uses: test.record, with: {name: "mark", value: "${{ item * 10 }}"}}
    - {id: more, uses: test.double, with: {number: "${{ steps.mark.output.value }}"}}
  output: "${{ steps.more.output.number + index }}"
- {id: end, uses: test.record, with: {name: end, value: "${{ steps.each.output }}"}}
""",
            'output: "${{ steps.end.output.value }}"\n',
        )
    ),
    "repeat": Scenario(
        make_document(
            """
- id: again
  uses: flow.repeat
  with: {until: "${{ index >= 2 }}", every: 30ms}
  steps:
    - {id: mark, uses: test.record, with: {name: mark, value: "${{ previous == null ? 1 : previous * 2 }}"}}
  output: "${{ steps.mark.output.value }}"
""",
            'output: "${{ steps.again.output }}"\n',
        )
    ),
    "call": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}}
- {id: sub, uses: flow.call, with: {workflow: callee, input: {number: 4}}}
- {id: b, uses: test.record, with: {name: b, value: "${{ steps.sub.output }}"}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        ),
        callees=(
            "flowforge: 1\nname: callee\ninput: {type: object, properties: {number: {type: number}}}\nsteps:\n"
            '  - {id: c, uses: test.record, with: {name: c, value: "${{ input.number + 1 }}"}}\n'
            'output: "${{ steps.c.output.value }}"\n',
        ),
    ),
    "blob": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a, value: "${{ input.text }}"}}
- {id: b, uses: test.record, with: {name: b, value: "${{ size(steps.a.output.value) }}"}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        )
    ),
    "undo": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}, compensate: {uses: test.record, with: {name: undo_a}}}
- {id: b, uses: test.record, with: {name: b, value: 3}, compensate: {uses: test.record, with: {name: undo_b, value: "${{ steps.b.output.value }}"}}}
- {id: c, uses: test.record, with: {name: c, failures: -1, fatal: true, code: broken}}
""",
            """on_failure:
  - {id: told, uses: test.record, with: {name: told, value: "${{ run.error.code }}"}}
finally:
  - {id: last, uses: test.record, with: {name: last, value: "${{ run.status }}"}}
""",
        ),
        expected="failed",
    ),
    "cancel": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}}
- {id: nap, uses: flow.wait, with: {signal: never}}
- {id: b, uses: test.record, with: {name: b}}
""",
            "finally:\n  - {id: last, uses: test.record, with: {name: last}}\n",
        ),
        messages=(Message("cancel", {}, after="a"),),
        expected="cancelled",
    ),
    "limit": Scenario(
        make_document(
            """
- id: each
  uses: flow.foreach
  with: {items: [1, 2, 3], concurrency: unlimited}
  steps:
    - {id: mark, uses: test.record, with: {name: mark, value: "${{ item }}"}, limit: {key: erp, concurrency: 1}}
""",
            'output: "${{ size(steps.each.output) }}"\n',
        )
    ),
    "stop": Scenario(
        make_document("""
- {id: a, uses: test.record, with: {name: a}}
- {id: end, uses: flow.stop, with: {output: "${{ steps.a.output.times }}"}, when: "${{ steps.a.output.value == null }}"}
- {id: b, uses: test.record, with: {name: b}}
"""),
        ignored_output=True,
    ),
}
