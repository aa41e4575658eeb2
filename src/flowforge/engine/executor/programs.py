"""Definitions ready to run: compiled once, kept by their digest."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final, cast

from flowforge.engine.executor.commits import Committer
from flowforge.engine.machine import Program
from flowforge.engine.ports import HEAVY_QUEUE
from flowforge.engine.store import Store
from flowforge.kit.border import decode
from flowforge.kit.errors import InvariantError, NotFoundError
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.compiler import compile_document
from flowforge.language.graph import Step, Workflow
from flowforge.operations.calling import find_target
from flowforge.operations.definition import Nature
from flowforge.operations.registry import Registry

_KEPT_MAX: Final = 256


class Programs:
    """Compiled definitions, the least recently used ones forgotten."""

    def __init__(
        self, store: Store, committer: Committer, registry: Registry, limits: Limits, *, hands_out_jobs: bool = False
    ) -> None:
        self._store = store
        self._committer = committer
        self._registry = registry
        self._limits = limits
        self._hands_out_jobs = hands_out_jobs
        self._programs: OrderedDict[str, Program] = OrderedDict()

    def find(self, digest: str) -> Program | None:
        program = self._programs.get(digest)
        if program is not None:
            self._programs.move_to_end(digest)
        return program

    async def get(self, digest: str) -> Program:
        """The program of a stored definition.

        Raises:
            NotFoundError: no definition has this digest.
            InvariantError: it does not compile any more.
        """
        program = self.find(digest)
        if program is not None:
            return program
        stored = await self._committer.call(self._store.definition, digest)
        if stored is None:
            raise NotFoundError(f"The definition {digest} is not in the database any more.")
        compilation = compile_document(cast("JsonObject", decode(stored)), self._registry, self._limits)
        if compilation.workflow is None:
            fault = compilation.errors[0]
            raise InvariantError(f"A stored definition does not compile any more: {fault.field}: {fault.message}")
        return self.keep(digest, compilation.workflow)

    def keep(self, digest: str, workflow: Workflow) -> Program:
        targets: dict[str, Callable[[JsonObject], str | None]] = {}
        for name in workflow.operations:
            operation = self._registry.find(name)
            if operation is not None and operation.target is not None:
                targets[name] = partial(find_target, operation)
        program = self._programs[digest] = Program(
            workflow,
            targets,
            self._limits.step_in_max_bytes,
            self._choose_queue if self._hands_out_jobs else None,
            self._limits.poison_limit,
        )
        if len(self._programs) > _KEPT_MAX:
            self._programs.popitem(last=False)
        return program

    def _choose_queue(self, step: Step, name: str, parameters: JsonObject) -> str | None:
        """The queue of an attempt; None: it is made where its run is."""
        if step.queue is not None:
            return step.queue
        operation = self._registry.find(name)
        is_heavy = operation is not None and operation.nature_of(parameters) is Nature.HEAVY
        return HEAVY_QUEUE if is_heavy else None
