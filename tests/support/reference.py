"""A naive second opinion: plays a compiled graph by the sentences of the workflow language alone.

Slow and plain on purpose: after every single change it looks at all steps again, in the list's order, and it keeps no state but what
became of each step. It shares no code with the engine; templates are evaluated by the language's own evaluator over plain objects.
Time is virtual: effects take none, and when nothing is in flight the clock jumps to the next timer.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from tests.support.effect_oracle import Fails, Oracle, Outcome, Succeeds, output_of
from tests.support.fates import Fate, Prediction, delay_ms, duration_ms, is_retried, may_retry
from tests.support.playing import Broken, Cancelled, Loop, Scope, Stopped, Timer, Verdict

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import Context, ExpressionError, Template
from flowforge.language.graph import (
    Call,
    Compensation,
    Fail,
    Foreach,
    Graph,
    If,
    Join,
    OnError,
    Repeat,
    SetValues,
    Step,
    Stop,
    Switch,
    WaitTime,
    Workflow,
)


def predict(workflow: Workflow, input_: JsonValue, oracle: Oracle) -> Prediction:
    """How the run of `workflow` must end if the world answers as `oracle` says."""
    return _Play(workflow, input_, oracle).play()


class _Play:
    def __init__(self, workflow: Workflow, input_: JsonValue, oracle: Oracle) -> None:
        self.workflow = workflow
        self.input = input_
        self.oracle = oracle
        self.now_ms = 0
        self.landed = 0
        self.is_choice = False
        self.result = Prediction()
        self.fates = self.result.fates
        self.flying: dict[str, tuple[Scope, Step]] = {}
        self.again: set[str] = set()
        self.timers: list[Timer] = []
        self.loops: dict[str, Loop] = {}
        self.parameters: dict[str, JsonValue] = {}
        self.to_undo: list[tuple[str, Compensation, JsonValue | ExpressionError]] = []

    def play(self) -> Prediction:
        main = Scope("", self.workflow.graph, {"input": self.input, "run": {}})
        result = self.result
        try:
            self.play_graph(main)
            if self.workflow.output is not None:
                result.output = self.evaluate(self.workflow.output, main)
        except Stopped as stopped:
            result.output = stopped.output
        except Cancelled:
            result.status = "cancelled"
        except Broken as broken:
            result.status, result.error = broken.status, broken.error
        except ExpressionError as error:
            result.status, result.error = "failed", error_value(error)
        self.abort("")
        if result.status in ("failed", "timed_out"):
            result.output = None
            self.compensate()
            self.play_handler("on_failure", self.workflow.on_failure, main)
        broken_finally = self.play_handler("finally", self.workflow.finally_, main)
        if broken_finally is not None and result.status == "completed":
            result.status, result.error, result.output = "failed", broken_finally, None
        return result

    def play_handler(self, name: str, graph: Graph | None, main: Scope) -> JsonObject | None:
        """Plays `on_failure` or `finally`; gives the error that broke it."""
        if graph is None:
            return None
        run: JsonObject = {"status": self.result.status, "error": self.result.error}
        try:
            self.play_graph(Scope(f"~{name}/", graph, {**main.roots, "run": run}, outer=main))
        except Broken as broken:
            self.abort(f"~{name}/")
            return broken.error
        return None

    def play_graph(self, scope: Scope) -> None:
        is_main = scope.prefix == ""
        deadline_ms = self.workflow.timeout_ms if is_main else None
        while True:
            self.settle(scope)
            if is_main and self.oracle.cancel_after == self.landed and not self.is_over(scope):
                raise Cancelled
            if self.flying:
                self.land_next()
            elif self.timers:
                self.let_time_pass(deadline_ms)
            else:
                return

    def let_time_pass(self, deadline_ms: int | None) -> None:
        due_ms = min(timer.due_ms for timer in self.timers)
        due = [timer for timer in self.timers if timer.due_ms <= due_ms]
        self.is_choice = (len(due) > 1 and any(timer.kind == "timeout" for timer in due)) or deadline_ms == due_ms
        if deadline_ms is not None and deadline_ms <= due_ms:
            self.note_break()
            self.now_ms = deadline_ms
            raise Broken({"code": "run_timeout"}, "timed_out")
        self.now_ms = due_ms
        for timer in due:
            if timer in self.timers:
                self.timers.remove(timer)
                self.fire(timer)

    def fire(self, timer: Timer) -> None:
        match timer.kind:
            case "retry":
                self.again.add(timer.key)
            case "wait":
                self.complete(timer.scope, timer.step, "done", None)
            case "every":
                self.loops[timer.key].is_pausing = False
            case _:
                self.abort(timer.key + ".")
                self.fail(timer.scope, timer.step, {"code": "timeout"})

    def settle(self, scope: Scope) -> None:
        """Does all that can be done without the world, always the first thing in the list's order.

        Where there is more than one thing to do in the same instant, the language leaves open which failure or end comes first.
        """
        while True:
            while self.skip_lost(scope):
                pass
            moves = list(self.list_moves(scope))
            if not moves:
                return
            self.is_choice = self.is_choice or len(moves) > 1
            moves[0]()

    def note_break(self) -> None:
        """Something ends early, or a race is decided, in an instant in which something else could have come first."""
        self.result.is_open_to_order = self.result.is_open_to_order or self.is_choice

    def skip_lost(self, scope: Scope) -> bool:
        """Skips steps whose join can no longer hold, here and in iterations below. True: there was one."""
        lost = [
            step
            for step in scope.graph.steps
            if scope.prefix + step.id not in self.fates and self.judge(scope, step) is Verdict.SKIP
        ]
        for step in lost:
            self.fates[scope.prefix + step.id] = Fate("skipped")
        below = [inner for step in scope.graph.steps for inner in self.open_iterations(scope, step)]
        return bool(lost) or any(self.skip_lost(inner) for inner in below)

    def open_iterations(self, scope: Scope, step: Step) -> list[Scope]:
        loop = self.loops.get(scope.prefix + step.id)
        return [] if loop is None else [inner for _, inner in sorted(loop.open.items())]

    def list_moves(self, scope: Scope) -> Iterator[Callable[[], None]]:
        """All that could be done now, here or in an iteration below, in the list's order."""
        for step in scope.graph.steps:
            key = scope.prefix + step.id
            if key in self.again:
                yield partial(self.attempt_again, scope, step)
            elif key in self.loops:
                yield from self.list_loop_moves(self.loops[key])
            elif key not in self.fates and self.judge(scope, step) is Verdict.START:
                yield partial(self.start, scope, step)

    def judge(self, scope: Scope, step: Step) -> Verdict:
        taken = not_taken = undecided = 0
        over: list[str] = []
        for source, port in edges_into(scope.graph, step):
            fate = self.fates.get(scope.prefix + source.id)
            if fate is None or not fate.is_decided:
                undecided += 1
            elif fate.port == port:
                taken += 1
                over.append(scope.prefix + source.id)
            else:
                not_taken += 1
        edges = taken + not_taken + undecided
        self.result.needs[scope.prefix + step.id] = [tuple(over)] if step.join is Join.FIRST else [(key,) for key in over]
        if edges == 0:
            return Verdict.START
        match step.join:
            case Join.FIRST:
                starts, is_lost = taken > 0, not_taken == edges
            case Join.ALL:
                starts, is_lost = taken == edges, not_taken > 0
            case Join.MERGE:
                starts, is_lost = undecided == 0 and taken > 0, not_taken == edges
        if starts:
            return Verdict.START
        return Verdict.SKIP if is_lost else Verdict.NOT_YET

    def is_over(self, scope: Scope) -> bool:
        return all((fate := self.fates.get(scope.prefix + step.id)) is not None and fate.is_decided for step in scope.graph.steps)

    def start(self, scope: Scope, step: Step) -> None:
        key = scope.prefix + step.id
        fate = self.fates[key] = Fate("running")
        if step.join is Join.FIRST:
            self.note_break()
        try:
            if step.when is not None and not self.is_true(step.when, scope):
                fate.status, fate.port = "bypassed", step.exit
                return
            self.begin(scope, step, key)
        except ExpressionError as error:
            self.fail(scope, step, error_value(error))

    def begin(self, scope: Scope, step: Step, key: str) -> None:
        match step.action:
            case Call():
                self.parameters[key] = self.evaluate(step.action.parameters, scope)
                self.attempt(scope, step)
            case If():
                answer = self.is_true(step.action.condition, scope)
                self.complete(scope, step, "true" if answer else "false", answer)
            case Switch():
                name = next((name for name, condition in step.action.cases if self.is_true(condition, scope)), "default")
                self.complete(scope, step, name, name)
            case Foreach() | Repeat():
                self.open_loop(scope, step, step.action)
            case WaitTime(duration=Template() as duration):
                self.fates[key].status = "waiting"
                self.set_timer("wait", scope, step, duration_ms(self.evaluate(duration, scope)))
            case SetValues():
                self.complete(scope, step, "done", self.evaluate(step.action.values, scope))
            case Stop():
                output = None if step.action.output is None else self.evaluate(step.action.output, scope)
                self.fates[key].status, self.fates[key].port = "completed", "done"
                self.note_break()
                raise Stopped(output)
            case Fail():
                self.fail(scope, step, {"code": self.evaluate(step.action.code, scope)})
            case _:
                raise AssertionError(f"the reference does not know {step.uses}")

    def attempt_again(self, scope: Scope, step: Step) -> None:
        self.again.remove(scope.prefix + step.id)
        self.attempt(scope, step)

    def attempt(self, scope: Scope, step: Step) -> None:
        key = scope.prefix + step.id
        fate = self.fates[key]
        fate.status = "running"
        fate.attempts += 1
        assert isinstance(step.action, Call)
        if step.action.pure:
            self.land(scope, step, self.oracle.outcome(key, 1))
        else:
            self.result.planned.append((key, fate.attempts))
            self.flying[key] = (scope, step)

    def land_next(self) -> None:
        key = min(self.flying, key=lambda key: self.oracle.rank(key, self.fates[key].attempts))
        self.landed += 1
        self.is_choice = False
        scope, step = self.flying.pop(key)
        self.land(scope, step, self.oracle.outcome(key, self.fates[key].attempts))

    def land(self, scope: Scope, step: Step, outcome: Outcome) -> None:
        key = scope.prefix + step.id
        fate = self.fates[key]
        match outcome:
            case Succeeds(port):
                self.complete(scope, step, port, output_of(key, self.parameters[key]))
            case Fails(code) if is_retried(step, outcome, fate.attempts):
                fate.status, fate.error = "waiting", {"code": code}
                self.set_timer("retry", scope, step, delay_ms(step.retry, fate.attempts))
            case Fails(code):
                self.fail(scope, step, {"code": code})

    def complete(self, scope: Scope, step: Step, port: str, output: JsonValue, error: JsonObject | None = None) -> None:
        key = scope.prefix + step.id
        fate = self.fates[key]
        fate.status, fate.port, fate.output, fate.error = "completed", port, output, error
        self.drop_timers(key)
        if step.compensate is not None:
            try:
                undo: JsonValue | ExpressionError = self.evaluate(step.compensate.action.parameters, scope)
            except ExpressionError as wrong:
                undo = wrong
            self.to_undo.append((key, step.compensate, undo))

    def fail(self, scope: Scope, step: Step, error: JsonObject) -> None:
        key = scope.prefix + step.id
        fate = self.fates[key]
        fate.status, fate.error, fate.output, fate.port = "failed", error, None, "error"
        self.loops.pop(key, None)
        self.drop_timers(key)
        if any(port == "error" for port, _ in step.edges):
            return
        if step.on_error is OnError.CONTINUE:
            fate.port = "done"
            return
        self.note_break()
        if scope.loop is None:
            raise Broken({**error, "step": key})
        self.lose_iteration(scope.loop, scope.number, error)

    def abort(self, prefix: str) -> None:
        """Ends what is under way below `prefix`; attempts that end well in spite of it count."""
        for key in sorted(self.flying, key=lambda key: self.oracle.rank(key, self.fates[key].attempts)):
            if key.startswith(prefix):
                scope, step = self.flying.pop(key)
                if self.oracle.is_late(key, self.fates[key].attempts):
                    self.land(scope, step, self.oracle.outcome(key, self.fates[key].attempts))
        for key, fate in self.fates.items():
            if key.startswith(prefix) and not fate.is_decided:
                fate.status = "cancelled"
        self.loops = {key: loop for key, loop in self.loops.items() if not key.startswith(prefix)}
        self.timers = [timer for timer in self.timers if not timer.key.startswith(prefix)]
        self.again = {key for key in self.again if not key.startswith(prefix)}

    def open_loop(self, scope: Scope, step: Step, action: Foreach | Repeat) -> None:
        items: JsonValue = []
        if isinstance(action, Foreach):
            items = self.evaluate(action.items, scope)
            if not isinstance(items, list):
                raise ExpressionError("type_mismatch", "items is no list")
        self.loops[scope.prefix + step.id] = Loop(scope, step, action, items)
        self.fates[scope.prefix + step.id].status = "waiting"
        if step.timeout_ms is not None:
            self.set_timer("timeout", scope, step, step.timeout_ms)

    def list_loop_moves(self, loop: Loop) -> Iterator[Callable[[], None]]:
        for number, scope in sorted(loop.open.items()):
            yield from self.list_moves(scope)
            if self.is_over(scope):
                yield partial(self.close_iteration, loop, number, scope)
        if self.opens_another(loop):
            yield partial(self.open_iteration, loop)
        elif not loop.open and not loop.is_pausing:
            yield partial(self.close_loop, loop)

    def opens_another(self, loop: Loop) -> bool:
        if loop.is_over or loop.is_pausing:
            return False
        if isinstance(loop.action, Repeat):
            return not loop.open
        window = loop.action.concurrency
        return loop.opened < len(loop.items) and (window is None or len(loop.open) < window)

    def open_iteration(self, loop: Loop) -> None:
        number = loop.opened
        loop.opened += 1
        roots = {**loop.scope.roots, "index": number, "previous": loop.values.get(number - 1)}
        if isinstance(loop.action, Foreach):
            roots["item"] = loop.items[number]
        prefix = f"{loop.scope.prefix}{loop.step.id}.{number}/"
        loop.open[number] = Scope(prefix, loop.action.body, roots, loop.scope, loop, number)

    def close_iteration(self, loop: Loop, number: int, scope: Scope) -> None:
        last = self.fates[scope.prefix + scope.graph.steps[-1].id]
        try:
            value = last.output if loop.action.output is None else self.evaluate(loop.action.output, scope)
        except ExpressionError as error:
            self.lose_iteration(loop, number, error_value(error))
            return
        loop.values[number] = value
        try:
            loop.is_over = self.is_last(loop, number, scope, value)
        except ExpressionError as error:
            self.fail(loop.scope, loop.step, error_value(error))
            return
        del loop.open[number]

    def is_last(self, loop: Loop, number: int, scope: Scope, value: JsonValue) -> bool:
        action = loop.action
        seen: Mapping[str, JsonValue] = {"output": value}
        is_broken = action.break_ is not None and self.is_true(action.break_, scope, seen)
        if isinstance(action, Foreach):
            return is_broken
        if is_broken or self.is_true(action.until, scope, seen):
            return True
        if number + 1 == action.limit:
            raise ExpressionError("repeat_limit", "the limit is reached")
        if action.every_ms is not None:
            loop.is_pausing = True
            self.set_timer("every", loop.scope, loop.step, action.every_ms)
        return False

    def lose_iteration(self, loop: Loop, number: int, error: JsonObject) -> None:
        self.note_break()
        prefix = f"{loop.scope.prefix}{loop.step.id}."
        if isinstance(loop.action, Foreach) and loop.action.continue_on_item_error:
            self.abort(f"{prefix}{number}/")
            loop.open.pop(number, None)
            loop.values[number], loop.errors[number] = None, error
            return
        self.abort(prefix)
        self.fail(loop.scope, loop.step, {"code": error["code"], "index": number})

    def close_loop(self, loop: Loop) -> None:
        key = loop.scope.prefix + loop.step.id
        del self.loops[key]
        values = [loop.values[number] for number in range(loop.opened)]
        output = values if isinstance(loop.action, Foreach) else values[-1]
        error: JsonObject | None = {"code": "item_errors"} if loop.errors else None
        self.complete(loop.scope, loop.step, "done", output, error)

    def compensate(self) -> None:
        for key, compensation, parameters in reversed(list(self.to_undo)):
            undo_key = f"~undo/{key}"
            if isinstance(parameters, ExpressionError):
                self.result.uncompensated.append(key)
                continue
            self.result.undone.append(key)
            for attempt in range(1, compensation.retry.attempts + 1):
                self.result.planned.append((undo_key, attempt))
                outcome = self.oracle.outcome(undo_key, attempt)
                if isinstance(outcome, Succeeds):
                    break
                if not may_retry(compensation.retry, outcome) or attempt == compensation.retry.attempts:
                    self.result.uncompensated.append(key)
                    break

    def evaluate(self, template: Template, scope: Scope, more: Mapping[str, JsonValue] | None = None) -> JsonValue:
        return template.evaluate(Context({**scope.roots, "steps": self.steps_seen(scope), **(more or {})}))

    def is_true(self, template: Template, scope: Scope, more: Mapping[str, JsonValue] | None = None) -> bool:
        value = self.evaluate(template, scope, more)
        if not isinstance(value, bool):
            raise ExpressionError("type_mismatch", "there is no truthiness")
        return value

    def steps_seen(self, scope: Scope) -> JsonObject:
        """Own graph first, then outwards: an inner id hides an outer one."""
        seen: JsonObject = {} if scope.outer is None else self.steps_seen(scope.outer)
        for step in scope.graph.steps:
            fate = self.fates.get(scope.prefix + step.id, Fate("pending"))
            seen[step.id] = {
                "output": fate.output,
                "error": fate.error,
                "status": fate.status,
                "port": fate.port,
                "attempts": fate.attempts,
            }
        return seen

    def set_timer(self, kind: str, scope: Scope, step: Step, after_ms: int) -> None:
        self.timers.append(Timer(self.now_ms + after_ms, kind, scope.prefix + step.id, scope, step))

    def drop_timers(self, key: str) -> None:
        self.timers = [timer for timer in self.timers if timer.key != key]


def edges_into(graph: Graph, step: Step) -> Iterator[tuple[Step, str]]:
    for source in graph.steps:
        for port, target in source.edges:
            if target == step.index:
                yield source, port


def error_value(error: ExpressionError) -> JsonObject:
    return {"code": error.code}
