"""Starts: a run is born, durable when its caller hears of it; owned here while there is room, else queued."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from flowforge.engine.births import Birth, StartRequest, check_start, make_root
from flowforge.engine.errors import OverloadedError, StartRejectedError
from flowforge.engine.executor.commits import Item
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.executor.ringing import BellHost, Bells
from flowforge.engine.executor.watching import Listener
from flowforge.engine.machine import Program, RunState, TurnSheet, fold
from flowforge.engine.outbox_events import list_birth_events
from flowforge.engine.store import NewRun, Turn, TurnResult, Verdict
from flowforge.kit.errors import InvariantError
from flowforge.kit.ids import make_id

RETRY_AFTER_S: Final = 1
"""When a start that was refused for want of room may come again."""


class StartHost(BellHost, Protocol):
    """What starting needs of the engine."""

    loop: asyncio.AbstractEventLoop

    @property
    def bells(self) -> Bells: ...
    def be_born(
        self, live: LiveRun, sheet: TurnSheet, dress: Callable[[Turn], None], told: Callable[[TurnResult], None]
    ) -> None: ...
    def adopt(self, run_no: int) -> None: ...
    def poke(self) -> None: ...


class Starter:
    """Starts runs for an engine."""

    def __init__(self, engine: StartHost) -> None:
        self._engine = engine

    async def start(self, request: StartRequest, on_turn: Listener | None = None) -> tuple[TurnResult, NewRun]:
        """The start's fate, and the run as it was to be. `on_turn`: as `Engine.start`.

        Raises:
            ValidationError, NotInstalledError, StartRejectedError, OverloadedError: as `Engine.start`.
        """
        engine = self._engine
        self._raise_if_overloaded()
        program = await engine.programs.get(request.workflow["digest"])
        value = check_start(program.workflow, request.input, engine.parts.registry)
        variables = {}
        if program.workflow.variables:
            variables = await engine.parts.vault.read_variables(request.workspace_id, program.workflow.variables)
        at = engine.parts.clock.now_ms()
        no, run_id = engine.allocate_no(), make_id("run")
        if value is not request.input:
            request = replace(request, input=value)
        owner = engine.worker if engine.intake.has_room() else None
        birth = make_root(request, program.workflow, variables, no=no, run_id=run_id, at=at, owner=owner, link=engine.parts.link)
        new_run = birth.new_run
        if engine.settings.writes_outbox:
            new_run = replace(new_run, outbox=list_birth_events(birth.started, at))
        engine.intake.adopt(no)
        future: asyncio.Future[TurnResult] = engine.loop.create_future()
        if on_turn is not None:
            engine.watch.listen(no, on_turn)
        self._submit(program, birth, new_run, future.set_result)
        result = await future
        if on_turn is not None and result.verdict is not Verdict.DONE:
            engine.watch.leave(no, on_turn)
        self._tell(result, new_run, program.workflow.name)
        return result, new_run

    def _raise_if_overloaded(self) -> None:
        engine = self._engine
        if engine.committer.backlog >= 2 * engine.settings.backlog_max:
            raise OverloadedError(engine.committer.backlog, RETRY_AFTER_S)

    def _submit(self, program: Program, birth: Birth, new_run: NewRun, told: Callable[[TurnResult], None]) -> None:
        engine, no, at = self._engine, new_run.no, new_run.at
        if new_run.owner is None:
            turn = Turn(run_no=no, epoch=0, at=at, seq=2, body=b"", events=0, start=new_run)
            engine.committer.submit(Item(turn, told))
            return

        live = LiveRun(no, RunState(program, birth.started, at), 1, 1)
        fold(live.state, birth.started, at)
        live.priority = new_run.priority
        sheet = TurnSheet(live.state, at, engine.allocate_no)
        engine.be_born(live, sheet, lambda turn: setattr(turn, "start", new_run), told)

    def _tell(self, result: TurnResult, new_run: NewRun, name: str) -> None:
        engine, no = self._engine, new_run.no
        if result.verdict is Verdict.REJECTED:
            raise StartRejectedError(name, 0 if new_run.slot is None else new_run.slot.limit)
        if result.verdict is Verdict.UNSTORABLE:
            raise InvariantError(f"The start could not be stored: {result.problem}")
        if result.verdict is not Verdict.DUPLICATE:
            engine.parts.metrics.runs_started.inc()
        if result.run_no is not None:
            engine.adopt(result.run_no)
        elif no not in engine.lives and result.verdict in (Verdict.DONE, Verdict.QUEUED):
            engine.poke()
            engine.bells.tell_due([no])
            engine.bells.tell_outbox(Turn(run_no=no, epoch=0, at=new_run.at, seq=2, body=b"", events=0, start=new_run))
