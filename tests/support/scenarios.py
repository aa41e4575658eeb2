"""Small workflows that use every construct, for the crash harness: a document, the messages that it needs, and what stays open."""

from dataclasses import dataclass, field
from typing import Final

from tests.support.documents import make_document

from flowforge.kit.values import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Message:
    """Sent once the step named `after` appears in the book, and `after_event` in the journal (at once if both are None).

    The kind `event` publishes a named event.
    """

    kind: str
    body: JsonObject
    after: str | None = None
    after_event: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """`callees`: documents of called workflows. `expected`: the run's final status. `queues`: whose jobs are handed out, and made here."""

    document: str
    messages: tuple[Message, ...] = ()
    callees: tuple[str, ...] = ()
    expected: str = "completed"
    ignored_output: bool = False
    input: JsonObject = field(default_factory=dict[str, JsonValue])
    mocks: bool = False
    queues: tuple[str, ...] = ()


_CALLEE: Final = (
    "flowforge: 1\nname: callee\ninput: {type: object, properties: {number: {type: number}}}\nsteps:\n"
    '  - {id: c, uses: test.record, with: {name: c, value: "${{ input.number + 1 }}"}}\n'
    'output: "${{ steps.c.output.value }}"\n'
)


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
        callees=(_CALLEE,),
    ),
    "blob": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a, value: "${{ input.text }}"}}
- {id: b, uses: test.record, with: {name: b, value: "${{ size(steps.a.output.value) }}"}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        ),
        input={"text": "x" * 300_000},
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
    "choices": Scenario(
        make_document(
            """
- {id: way, uses: test.route, with: {port: right}}
- {id: l, after: way.left, uses: test.record, with: {name: l}}
- {id: r, after: way.right, uses: flow.set, with: {values: {n: 2}}}
- {id: pick, after: r, uses: flow.switch, with: {cases: {one: "${{ steps.r.output.n == 1 }}", two: "${{ steps.r.output.n == 2 }}"}}}
- {id: one, after: pick.one, uses: test.record, with: {name: one}}
- {id: two, after: [pick.two, pick.default], uses: test.record, with: {name: two}}
- {id: all, after: [two, r], join: all, uses: test.record, with: {name: all}}
- {id: first, after: [two, r], join: first, uses: test.record, with: {name: first, value: 3}}
""",
            'output: "${{ [steps.first.output.value, steps.pick.port, steps.l.status] }}"\n',
        )
    ),
    "item_errors": Scenario(
        make_document(
            """
- id: each
  uses: flow.foreach
  with: {items: [1, 2, 3, 4], on_item_error: continue}
  break: "${{ item == 3 }}"
  output: "${{ steps.mark.output.value }}"
  steps:
    - {id: mark, uses: test.record, with: {name: mark, value: "${{ item }}", fatal: true, failures: "${{ item == 2 ? -1 : 0 }}"}}
- {id: soft, uses: test.record, with: {name: soft, failures: -1, fatal: true}, on_error: continue}
""",
            'output: "${{ [steps.each.output, steps.each.error.code, steps.soft.error.code] }}"\n',
        )
    ),
    "nested_undo": Scenario(
        make_document(
            """
- id: each
  uses: flow.foreach
  with: {items: [1, 2], concurrency: 2}
  compensate: {uses: test.record, with: {name: undo_each}}
  steps:
    - id: inner
      uses: flow.repeat
      with: {until: "${{ index == 1 }}"}
      steps:
        - id: mark
          uses: test.record
          with: {name: mark}
          compensate: {uses: test.record, with: {name: undo_mark, value: "${{ index }}"}}
- id: bad
  uses: test.record
  with: {name: bad}
  compensate: {uses: test.record, with: {name: undo_bad, failures: -1}, retry: {attempts: 2, initial: 5ms}}
- {id: stop, uses: flow.fail, with: {code: enough}}
"""
        ),
        expected="failed",
    ),
    "limit_of_repeat": Scenario(
        make_document(
            """
- id: again
  uses: flow.repeat
  with: {until: false, limit: 2}
  steps:
    - {id: mark, uses: test.record, with: {name: mark}}
- {id: caught, after: again.error, uses: test.record, with: {name: caught, value: "${{ steps.again.error.code }}"}}
""",
            'output: "${{ steps.caught.output.value }}"\n',
        )
    ),
    "named_event": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}}
- {id: ask, uses: flow.wait, with: {signal: paid, key: "5"}}
- {id: b, uses: test.record, with: {name: b, value: "${{ steps.ask.output }}"}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        ),
        messages=(Message("event", {"name": "paid", "key": "5", "payload": 9}, after="a"),),
    ),
    "expiry": Scenario(
        make_document(
            """
- {id: ask, uses: flow.wait, with: {signal: paid, expires: 420ms}}
- {id: late, after: ask.expired, uses: test.record, with: {name: late, value: 4}}
- {id: past, uses: flow.wait, with: {until: "2020-01-01T00:00:00Z"}}
- {id: stuck, uses: flow.wait, with: {signal: never}, timeout: 100ms}
- {id: caught, after: stuck.error, uses: test.record, with: {name: caught, value: "${{ steps.stuck.error.code }}"}}
""",
            'output: "${{ [steps.late.output.value, steps.caught.output.value] }}"\n',
        )
    ),
    "asks": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a, value: "${{ input.x }}", failures: 1, fatal: true}, on_error: ask}
- {id: b, uses: test.record, with: {name: b, value: "${{ steps.a.output.value }}"}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        ),
        messages=(
            Message("edit", {"input": {"x": 2}}, after_event="step.failed"),
            Message("retry", {"step": "a"}, after_event="step.failed"),
        ),
        input={"x": 1},
        ignored_output=True,
    ),
    "skipped_by_hand": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a, failures: -1, fatal: true}, on_error: ask}
- {id: b, uses: test.record, with: {name: b, value: "${{ steps.a.output }}"}}
""",
            'output: "${{ steps.b.output.value }}"\n',
        ),
        messages=(Message("skip", {"step": "a", "output": 6}, after_event="step.failed"),),
    ),
    "pause": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}}
- {id: nap, uses: flow.wait, with: {for: 50ms}}
- {id: b, uses: test.record, with: {name: b}}
""",
            'output: "${{ steps.nap.status }}"\n',
        ),
        messages=(Message("pause", {}, after="a"), Message("resume", {}, after_event="run.mail")),
    ),
    "time_outs": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}, compensate: {uses: test.record, with: {name: undo_a}}}
- {id: stuck, uses: flow.wait, with: {signal: never}}
""",
            "timeout: 400ms\nfinally:\n  - {id: last, uses: test.record, with: {name: last}}\n",
        ),
        expected="timed_out",
    ),
    "calls": Scenario(
        make_document(
            """
- {id: free, uses: flow.call, with: {workflow: callee, input: {number: 1}, wait: false}}
- {id: bad, uses: flow.call, with: {workflow: failing}, retry: {attempts: 2, initial: 10ms}}
- {id: caught, after: bad.error, uses: test.record, with: {name: caught, value: "${{ steps.bad.error.code }}"}}
- id: each
  uses: flow.foreach
  with: {items: [1, 2], concurrency: 2}
  steps:
    - {id: sub, uses: flow.call, with: {workflow: callee, input: {number: "${{ item }}"}}}
""",
            'output: "${{ [steps.caught.output.value, steps.each.output] }}"\n',
        ),
        callees=(_CALLEE, "flowforge: 1\nname: failing\nsteps:\n  - {id: c, uses: flow.fail, with: {code: empty}}\n"),
    ),
    "cancelled_call": Scenario(
        make_document("- {id: sub, uses: flow.call, with: {workflow: sleeper}}\n"),
        callees=(
            "flowforge: 1\nname: sleeper\nsteps:\n  - {id: c, uses: test.record, with: {name: c}}\n"
            "  - {id: w, uses: flow.wait, with: {signal: never}}\n",
        ),
        messages=(Message("cancel", {}, after="c"),),
        expected="cancelled",
    ),
    "one_at_a_time": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}}
- {id: deeper, when: "${{ input.x > 0 }}", uses: flow.call, with: {workflow: scenario, input: {x: "${{ input.x - 1 }}"}}}
- {id: slow, uses: test.record, with: {name: slow}, limit: {key: erp, rate: 50/s}}
""",
            'concurrency: {limit: 1}\noutput: "${{ input.x }}"\n',
        ),
        input={"x": 1},
    ),
    "large_undo": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a, size: 300000}}
- {id: b, uses: test.record, with: {name: b}, compensate: {uses: test.record, with: {name: undo, value: "${{ size(steps.a.output.value) }}"}}}
- {id: stop, uses: flow.fail, with: {code: enough}}
""",
            'on_failure:\n  - {id: told, uses: test.record, with: {name: told, value: "${{ size(steps.a.output.value) }}"}}\n',
        ),
        expected="failed",
    ),
    "mocked": Scenario(
        make_document(
            """
- {id: a, uses: test.record, with: {name: a}, mock: {output: {value: 5}}}
- {id: b, uses: test.record, with: {name: b}, mock: {error: {code: gone, message: It is gone.}}}
- {id: c, after: b.error, uses: test.log, with: {name: c, value: "${{ steps.a.output.value }}"}}
""",
            'output: "${{ [steps.a.output.value, steps.b.error.code] }}"\n',
        ),
        mocks=True,
    ),
    "jobs": Scenario(
        make_document(
            """
- {id: a, uses: test.record, queue: io, with: {name: a, value: 1, failures: 1}, retry: {attempts: 3, initial: 20ms}}
- id: all
  uses: flow.foreach
  with: {items: [1, 2, 3], concurrency: 2}
  steps:
    - {id: work, uses: test.record, queue: io, with: {name: "w${{ item }}", value: "${{ item }}"}}
- {id: last, uses: test.record, with: {name: last, value: "${{ size(steps.all.output) }}"}}
""",
            'output: "${{ [steps.a.output.value, steps.last.output.value] }}"\n',
        ),
        queues=("io",),
    ),
}
