"""The process of scripts of one language: takes what it needs, locks itself in, and runs one script after another."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from flowforge.kit.sandbox.child import lockdown
from flowforge.kit.sandbox.child.channel import Channel, Fault, Task

_LIFETIME_S: Final = 600
"""Computing time of a process; FlowForge ends one long before, by the number of its scripts."""
_KILL_AFTER_S: Final = 0.5
"""How much longer than its limit a script may compute that its engine does not stop."""
_LONG_S: Final = 1.0
_ROOM_BYTES: Final = 64 * 2**20
"""Address space for what the process itself needs: messages are held a few times over."""


class Runner(Protocol):
    """One language."""

    def prepare(self) -> None:
        """Called between two scripts, while nobody waits."""
        ...

    def run(self, task: Task, channel: Channel) -> str:
        """The last message of a script, without its closing brace. Raises Fault."""
        ...

    def is_spent(self, task: Task) -> bool:
        """Whether the script has left the process in a state in which it should run no other."""
        ...


@dataclass(frozen=True, slots=True)
class Boot:
    """What FlowForge tells the process at its start. `memory_bytes`: beyond what the process has after it has loaded its language."""

    language: str
    folder: str
    parent: int
    memory_bytes: int
    worker_program: str | None


def serve(boot: Boot) -> NoReturn:
    """Works until the pipe ends or the process has grown old."""
    os.environ.clear()
    os.environ["TZ"] = "UTC0"  # names no file
    time.tzset()
    os.chdir("/")
    lockdown.close_descriptors()
    runner = _PREPARE[boot.language](boot, os.uname().machine)
    channel = Channel()
    channel.send('{"ready":true}')
    while not _answer(runner, channel):
        runner.prepare()
    channel.receive()
    os._exit(0)


def _answer(runner: Runner, channel: Channel) -> bool:
    """Runs the next script; whether the process should run no other."""
    task = channel.receive_task()
    begun, is_spent = time.process_time(), False
    signal.setitimer(signal.ITIMER_PROF, task.cpu_s + _KILL_AFTER_S)  # its signal ends the process, whatever the engine does
    try:
        answer = runner.run(task, channel)
    except Fault as fault:
        answer = fault.to_json()[:-1]
    except MemoryError:
        answer, is_spent = Fault("script_memory", "The script needs more memory than the limit.").to_json()[:-1], True
    signal.setitimer(signal.ITIMER_PROF, 0)
    is_spent = is_spent or time.process_time() - begun > _LONG_S or runner.is_spent(task)
    channel.send(f'{answer},"is_spent":{"true" if is_spent else "false"}}}')
    return is_spent


def _prepare_javascript(boot: Boot, machine: str) -> Runner:
    # Each process loads its own language only.
    from flowforge.kit.sandbox.child.javascript import JavaScript

    runner = JavaScript(boot.folder)
    _lock_down(boot, machine)
    return runner


def _prepare_jsonata(boot: Boot, machine: str) -> Runner:
    # As above.
    from flowforge.kit.sandbox.child.query import Jsonata

    runner = Jsonata()
    _lock_down(boot, machine)
    return runner


def _prepare_python(boot: Boot, machine: str) -> Runner:
    # As above.
    from flowforge.kit.sandbox.child.python import Python

    lockdown.leave_namespaces()
    lockdown.bind_to_parent(boot.parent)
    lockdown.refuse_leaving(machine)
    runner = Python(boot.worker_program)
    for process in (runner.worker, 0):
        lockdown.limit_memory(boot.memory_bytes + _ROOM_BYTES, process)
        lockdown.limit_processes(process)
        lockdown.limit_lifetime(_LIFETIME_S, process)
    lockdown.limit_files(3, runner.worker)
    lockdown.limit_files(runner.descriptors)
    lockdown.allow_computing(machine, is_talking=True)
    return runner


def _lock_down(boot: Boot, machine: str) -> None:
    lockdown.become_nobody()
    lockdown.bind_to_parent(boot.parent)
    lockdown.limit_memory(boot.memory_bytes + _ROOM_BYTES)
    lockdown.limit_files(3)
    lockdown.limit_processes()
    lockdown.limit_lifetime(_LIFETIME_S)
    lockdown.allow_computing(machine)


_PREPARE: Final[dict[str, Callable[[Boot, str], Runner]]] = {
    "javascript": _prepare_javascript,
    "jsonata": _prepare_jsonata,
    "python": _prepare_python,
}
