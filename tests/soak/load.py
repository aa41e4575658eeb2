"""What a cluster has to do while it is tormented: runs of every kind at a steady rate, and what must come of each."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.support.cluster import PATIENCE_S, Cluster, Definition, RunRef, make_effects
from tests.support.documents import make_document
from tests.support.history import Database, History

from flowforge.kit.errors import StorageError

RUNS_PER_S: Final = 12
OPEN_MAX: Final = 60
RETRY: Final = "retry: {attempts: 200, initial: 20ms, backoff: fixed}"
SERVED: Final = frozenset({"a", "b", "c", "m", "job", "child", "once"})
"""Steps whose effect is a request to the world."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of run. `effects`: how many different effects a completed one has had. `sends`: what it is told, some time after its start."""

    name: str
    steps: str
    effects: int
    statuses: Collection[str] = ("completed",)
    sends: str = ""
    rest: str = ""


def list_kinds(cluster: Cluster) -> list[Kind]:
    def effects(*names: str) -> str:
        return make_effects(cluster.world, *names, **dict.fromkeys(names, RETRY))

    url = cluster.world.url
    loop = (
        "- id: each\n  uses: flow.foreach\n  with: {items: [1, 2, 3, 4, 5], concurrency: 3}\n  steps:\n"
        f'    - {{id: m, uses: http.request, with: {{url: "{url}/m"}}, {RETRY}}}\n'
    )
    once = f'- {{id: once, uses: http.request, with: {{url: "{url}/once", expect: [200, 503]}}, on_interrupt: fail}}\n'
    job = f'- {{id: job, uses: test.work, with: {{url: "{url}/job", work_ms: 150}}, {RETRY}}}\n'
    tidy = "finally:\n" + make_effects(cluster.world, "c", c=RETRY).replace("- ", "  - ")
    return [
        Kind("linear", effects("a", "b", "c"), 3),
        Kind("loop", effects("a") + loop + effects("b"), 7),
        Kind("timer", effects("a") + "- {id: nap, uses: flow.wait, with: {for: 700ms}}\n" + effects("b"), 2),
        Kind("signal", effects("a") + "- {id: w, uses: flow.wait, with: {signal: go}}\n" + effects("b"), 2, sends="signal"),
        Kind("heavy", effects("a") + job + effects("b"), 3),
        Kind("parent", effects("a") + "- {id: call, uses: flow.call, with: {workflow: callee}}\n" + effects("b"), 2),
        Kind(
            "cancel",
            effects("a") + "- {id: w, uses: flow.wait, with: {for: 1h}}\n",
            1,
            statuses=("cancelled",),
            sends="cancel",
            rest=tidy,
        ),
        Kind("once", effects("a") + once, 2, statuses=("completed", "failed")),
    ]


@dataclass
class Load:
    """Starts runs as time goes by, and tells those what they wait for."""

    cluster: Cluster
    random: Random
    kinds: list[Kind] = field(default_factory=list[Kind])
    runs: dict[str, tuple[Kind, RunRef]] = field(default_factory=dict[str, tuple[Kind, RunRef]])
    _definitions: dict[str, Definition] = field(default_factory=dict[str, Definition])
    _later: list[tuple[float, str, RunRef]] = field(default_factory=list[tuple[float, str, RunRef]])
    _due_s: float = 0.0

    def prepare(self) -> None:
        """Publishes what is called, and keeps the documents."""
        self.kinds = list_kinds(self.cluster)
        child = make_effects(self.cluster.world, "child", child=RETRY)
        self.cluster.client.publish(make_document(child, name="callee"))
        for kind in self.kinds:
            self._definitions[kind.name] = self.cluster.client.define(make_document(kind.steps, kind.rest, name=kind.name))

    def count_open(self) -> int:
        return self.cluster.value("SELECT count(*) FROM runs WHERE finished_at IS NULL")

    def step(self, now_s: float) -> None:
        """Does what is due."""
        if self._due_s <= now_s:
            self._due_s = now_s + self.random.expovariate(RUNS_PER_S)
            if self.count_open() < OPEN_MAX:
                self._start(now_s)
        for due in [each for each in self._later if each[0] <= now_s]:
            self._later.remove(due)
            try:
                self._tell(due[1], due[2], patience_s=0.0)
            except StorageError:
                # A frozen worker may hold the row, until the nemesis, which takes turns with us, wakes it.
                self._later.append((now_s + 1.0, due[1], due[2]))

    def finish(self) -> None:
        """Tells at once what was still to be told."""
        for _, what, run in self._later:
            self._tell(what, run)
        self._later.clear()

    def _start(self, now_s: float) -> None:
        kind = self.random.choice(self.kinds)
        run = self.cluster.client.start(self._definitions[kind.name], dedup=f"{kind.name}:{len(self.runs)}")
        self.runs[run.id] = (kind, run)
        if kind.sends:
            self._later.append((now_s + self.random.uniform(0.0, 1.5), kind.sends, run))

    def _tell(self, what: str, run: RunRef, *, patience_s: float = PATIENCE_S) -> None:
        if what == "signal":
            self.cluster.client.signal(run, "go", dedup="the-one-signal", patience_s=patience_s)
        else:
            self.cluster.client.send(run, "cancel", dedup="the-one-cancel", patience_s=patience_s)

    def judge(self, database: Database) -> Iterator[str]:
        """What did not come of a run as it must."""
        histories = {history.id: history for history in database.histories}
        for run_id, (kind, _) in self.runs.items():
            history = histories[run_id]
            status = str(history.row["status"])
            if status not in kind.statuses:
                yield f"{kind.name} {run_id} is {status}: {history.row['error_code']}"
            elif status == "failed" and history.row["error_code"] != "outcome_unknown":
                yield f"{kind.name} {run_id} failed with {history.row['error_code']}"
            elif status == "completed" and count_effects(history) != kind.effects:
                yield f"{kind.name} {run_id} has had {count_effects(history)} effects of {kind.effects}"


def count_effects(history: History) -> int:
    """Steps that the world has served and the journal knows as completed."""
    done = Counter(str(entry.event["step"]) for entry in history.entries if entry.type == "step.completed")
    return sum(count for step, count in done.items() if step.rsplit("/", 1)[-1] in SERVED)
