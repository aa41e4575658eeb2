"""What a process of scripts can reach, and what becomes of one that breaks (cases A03 and SCR of the reliability catalogue)."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.kit.sandbox.conftest import LIMITS, Host, Sandbox

from flowforge.kit.limits import Limits
from flowforge.kit.sandbox import process as processes
from flowforge.kit.sandbox.errors import SandboxError, SandboxFault
from flowforge.kit.sandbox.pool import SCRIPTS_PER_PROCESS, Language, SandboxPool
from flowforge.kit.values import JsonObject, JsonValue

READY = "import os, struct, sys\ndef say(text):\n    os.write(1, struct.pack('>I', len(text)) + text)\nsay(b'{\"ready\":true}')\n"
HEAR = "for _ in range(2):\n    os.read(0, struct.unpack('>I', os.read(0, 4))[0])\n"

FORGED = {
    "no JSON": b"result",
    "another shape": b'{"result":1}',
    "more than a result": b'{"result":1,"is_spent":false,"other":1}',
    "a list": b"[1]",
    "an unknown fault": b'{"fault":"of_my_own","message":"","is_spent":false}',
    "a log of another shape": b'{"log":[["info","x"]],"truncated":false}',
    "a log of another level": b'{"log":[["fatal","x",{}]],"truncated":false}',
    "a call of another number": b'{"call":7,"method":"GET","url":"x","options":{}}',
    "a frame without end": None,
}

ATTEMPTS = """
import errno, json, os, socket, sys
sys.path[:] = json.loads(sys.argv[1])
from flowforge.kit.sandbox.child import lockdown
attempts = {
    "fork": os.fork,
    "socket": lambda: socket.socket(),
    "read": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "write": lambda: os.open("/tmp/left-behind", os.O_WRONLY | os.O_CREAT),
    "list": lambda: os.listdir("/"),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "thread": lambda: __import__("_thread").start_new_thread(int, ()),
    "remove": lambda: os.unlink("/tmp/left-behind"),
}
lockdown.become_nobody()
lockdown.bind_to_parent(os.getppid())
lockdown.limit_files(3)
lockdown.limit_processes()
took = lockdown.allow_computing(os.uname().machine)
told = {"filter": took}
for name, attempt in attempts.items():
    try:
        attempt()
        told[name] = "done"
    except (OSError, RuntimeError) as fault:
        told[name] = getattr(fault, "errno", None) or "refused"
os.write(1, json.dumps(told).encode())
os._exit(0)
"""


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_a03_scr_34_the_process_has_no_environment_and_no_descriptors(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, language: Language
):
    if language == "python":
        pytest.importorskip("pydantic_monty", reason="an optional package")
    monkeypatch.setenv("FLOWFORGE_CANARY", "canary-value")
    inherited = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    await sandbox.run("1", language=language)
    os.close(inherited)
    pid = sandbox.list_processes(language)[0]
    seen = _look_at(_find_child(pid) if language == "python" else pid)
    assert b"canary" not in seen.environment
    assert seen.descriptors == ["0", "1", "2"]
    assert "NoNewPrivs:\t1" in seen.status
    assert "Seccomp:\t2" in seen.status
    assert "Max file size             0 " in seen.limits


@dataclass(frozen=True)
class Seen:
    """What the system knows of a process."""

    environment: bytes
    descriptors: list[str]
    status: str
    limits: str


def _look_at(pid: int) -> Seen:
    folder = Path(f"/proc/{pid}")
    descriptors = sorted(path.name for path in (folder / "fd").iterdir())
    return Seen((folder / "environ").read_bytes(), descriptors, (folder / "status").read_text(), (folder / "limits").read_text())


def _find_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_a03_scr_34_scr_35_a_bug_of_the_engine_could_neither_fork_nor_reach_anything():
    """The lock that a process puts on itself, tried by code that has all of Python: what a script could do that broke its engine."""
    paths = json.dumps([path for path in sys.path if path])
    done = subprocess.run([sys.executable, "-I", "-S", "-c", ATTEMPTS, paths], capture_output=True, timeout=30, check=True)
    told = json.loads(done.stdout)
    if not told.pop("filter"):
        pytest.skip("this machine has no filter of system calls")
    assert "done" not in told.values(), told
    assert len(told) == 9
    assert not Path("/tmp/left-behind").exists()


async def test_a03_a_process_that_dies_is_one_error_and_the_next_script_is_well(sandbox: Sandbox):
    await sandbox.run("1")
    victim = sandbox.list_processes()[0]
    running = asyncio.create_task(sandbox.run("while (true) {}"))
    while sandbox.list_processes():
        await asyncio.sleep(0)
    os.kill(victim, signal.SIGSEGV)
    with pytest.raises(SandboxError) as caught:
        await running
    assert caught.value.fault is SandboxFault.CRASHED
    assert caught.value.is_retryable
    assert "SIGSEGV" in caught.value.message
    assert await sandbox.run("return 2") == 2


async def test_a_process_that_died_while_it_waited_is_not_used(sandbox: Sandbox):
    await sandbox.run("1")
    victim = sandbox.pool._idle["javascript"][0]  # pyright: ignore[reportPrivateUsage] - to see when its death is known
    os.kill(victim.pid, signal.SIGKILL)
    while victim.is_alive:
        await asyncio.sleep(0)
    assert await sandbox.run("return 2") == 2


@pytest.mark.slow(90)
async def test_f18_processes_that_die_leave_neither_zombies_nor_descriptors(sandbox: Sandbox):
    async def crash() -> None:
        await sandbox.run("1")
        await sandbox.settle()
        victim = sandbox.list_processes()[-1]
        running = asyncio.create_task(sandbox.run("while (true) {}"))
        while victim in sandbox.list_processes():
            await asyncio.sleep(0)
        os.kill(victim, signal.SIGSEGV)
        with pytest.raises(SandboxError):
            await running

    await crash()
    await sandbox.run("1")
    gc.collect()
    before = _count_descriptors()
    for _ in range(10):
        await crash()
    await sandbox.run("1")
    gc.collect()
    assert _count_descriptors() <= before + 3  # the pipes of one process that is being warmed
    assert _list_zombies() == []


def _count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _list_zombies() -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*/stat") if _is_zombie_of_ours(path)]


def _is_zombie_of_ours(path: Path) -> bool:
    try:
        state, parent = path.read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return state == "Z" and int(parent) == os.getpid()


def start_instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """The processes of scripts run this code, as one whose engine was taken over might."""
    monkeypatch.setattr(processes, "_BOOT", code)


@pytest.mark.parametrize("name", FORGED)
async def test_a03_scr_26_a_forged_frame_ends_the_process(name: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    frame = FORGED[name]
    say = "os.write(1, struct.pack('>I', 2**31))" if frame is None else f"say({frame!r})"
    start_instead(monkeypatch, f"{READY}{HEAR}{say}\nos.read(0, 1)")
    error = await sandbox.fail("return 1")
    assert error.fault is SandboxFault.PROTOCOL
    assert not error.is_retryable


async def test_a03_what_a_process_says_unasked_is_not_taken_for_a_result(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    answer = b'{"result":"mine","is_spent":false}'
    start_instead(monkeypatch, f"{READY}{HEAR}say({answer!r})\nsay({answer!r})\nos.read(0, 1)")
    assert await sandbox.run("return 1") == "mine"
    waiting = sandbox.pool._idle["javascript"][0]  # pyright: ignore[reportPrivateUsage] - to see when its message is there
    while not waiting.has_more:
        await asyncio.sleep(0)
    assert await sandbox.pool._find_idle("javascript") is None  # pyright: ignore[reportPrivateUsage] - the process is not to be used again


async def test_scr_13_a_host_call_that_never_ends_is_ended_with_its_script():
    class Silent(Host):
        async def request(self, method: str, url: JsonValue, options: JsonObject) -> JsonValue:
            try:
                return await asyncio.Event().wait()
            finally:
                self.asked.append((method, url, options))

    host = Silent()
    pool = SandboxPool(Limits(script_cpu_ms=300, script_wall_ms=300), size=1)
    error = await Sandbox(pool, host).fail("await http.get('a')")
    assert error.fault is SandboxFault.TIMEOUT
    assert host.asked, "the call was cancelled"
    await pool.aclose()


async def test_scr_36_a_hundred_scripts_share_the_places(sandbox: Sandbox):
    async def run(number: int) -> JsonValue:
        return await sandbox.run("return input * 2", number)

    assert await asyncio.gather(*(run(number) for number in range(100))) == [number * 2 for number in range(100)]
    assert 1 <= len(sandbox.list_processes()) <= 2


async def test_scr_36_a_script_that_waits_for_its_place_does_not_hold_up_the_loop(sandbox: Sandbox):
    long = [asyncio.create_task(sandbox.fail("while (true) {}")) for _ in range(4)]
    turns = 0
    while not all(task.done() for task in long):
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 10
    assert {(await task).fault for task in long} == {SandboxFault.TIMEOUT}


async def test_scr_37_nothing_of_a_script_is_left_for_the_next(sandbox: Sandbox):
    await sandbox.run("globalThis.left = 1; Object.prototype.left = 2; globalThis.http = null; JSON.stringify = null")
    pids = sandbox.list_processes()
    seen = await sandbox.run("return [typeof left, ({}).left, typeof http.get, typeof JSON.stringify]")
    assert seen == ["undefined", None, "function", "function"]
    assert sandbox.list_processes() == pids, "it was the same process"


async def test_a_process_is_thrown_away_after_many_scripts():
    pool = SandboxPool(LIMITS, size=1)
    sandbox = Sandbox(pool)
    await sandbox.run("1")
    first = sandbox.list_processes()
    for _ in range(SCRIPTS_PER_PROCESS - 2):
        await sandbox.run("1")
    assert sandbox.list_processes() == first
    await sandbox.run("1")
    assert not _is_alive(first[0])
    assert await sandbox.run("return 1") == 1
    await pool.aclose()


async def test_a_cancelled_script_ends_its_process(sandbox: Sandbox):
    await sandbox.run("1")
    pid = sandbox.list_processes()[0]
    running = asyncio.create_task(sandbox.run("while (true) {}"))
    while sandbox.list_processes():
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not _is_alive(pid)


async def test_closing_the_pool_ends_its_processes():
    pool = SandboxPool(LIMITS, size=1)
    sandbox = Sandbox(pool)
    await sandbox.run("1")
    pid = sandbox.list_processes()[0]
    await pool.aclose()
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_process_that_cannot_start_is_worth_another_attempt(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    start_instead(monkeypatch, "raise SystemExit(3)")
    error = await sandbox.fail("return 1")
    assert (error.fault, error.is_retryable) == (SandboxFault.CRASHED, True)


@pytest.mark.parametrize("make", [lambda: "x" * 2**20, lambda: {"a": ["é\u2028"] * 1000}])
async def test_values_pass_unchanged(make: Callable[[], JsonValue], sandbox: Sandbox):
    value = make()
    assert await sandbox.run("return input", value) == value
