"""Scripts in Python. The cases are those of JavaScript, where they make sense (ids SCR of the reliability catalogue)."""

import pytest
from tests.kit.sandbox.conftest import Sandbox

from flowforge.kit.masking import EXCERPT_MAX_BYTES
from flowforge.kit.sandbox import process
from flowforge.kit.sandbox.errors import HostFault, SandboxError, SandboxFault
from flowforge.kit.values import JsonValue

pytest.importorskip("pydantic_monty", reason="an optional package")

DEEP = "top = {}\nat = top\nfor i in range(1000):\n  at['a'] = {}\n  at = at['a']\ntop"

RESULTS: list[tuple[str, str, JsonValue]] = [
    ("SCR-01 empty", "", None),
    ("SCR-01 comment", "# nothing", None),
    ("last value", "x = 1\nx + 1", 2),
    ("no value", "x = 1", None),
    ("SCR-20 tuple", "(1, [2])", [1, [2]]),
    (
        "SCR-20 datetime",
        "import datetime\n[datetime.datetime(2026, 1, 2, 3), datetime.date(2026, 1, 2)]",
        ["2026-01-02T03:00:00Z", "2026-01-02"],
    ),
    ("SCR-33 zone", "import time\n[time.timezone, time.tzname[0]]", [0, "UTC"]),
    ("exact", "2**60 + 1", 2**60 + 1),
    (
        "modules",
        "import json, re, math, decimal\n[json.loads('[1]'), bool(re.match('a+', 'aa')), math.floor(1.5)]",
        [[1], True, 1],
    ),
    ("SCR-09 linear", "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b') is None", True),
]

FAULTS: list[tuple[str, str, SandboxFault]] = [
    ("SCR-02", "x = = 1", SandboxFault.SYNTAX),
    ("SCR-04", "while True:\n  pass", SandboxFault.TIMEOUT),
    ("SCR-04 caught", "while True:\n  try:\n    while True: pass\n  except Exception:\n    pass", SandboxFault.TIMEOUT),
    ("SCR-05 A03", "'x'.center(10**9)", SandboxFault.MEMORY),
    ("SCR-06", "'a' * 2**29", SandboxFault.MEMORY),
    ("SCR-07", "a = []\nwhile True:\n  a.append('x' * 100)", SandboxFault.MEMORY),
    ("SCR-08", "def down(): down()\ndown()", SandboxFault.STACK),
    ("SCR-10", "2 ** (10 ** 9)", SandboxFault.MEMORY),
    ("SCR-14 files", "open('/etc/passwd').read()", SandboxFault.ERROR),
    ("SCR-14 environment", "import os\nos.environ", SandboxFault.ERROR),
    ("SCR-14 folders", "import os\nos.listdir('/')", SandboxFault.ERROR),
    ("SCR-14 sockets", "import socket", SandboxFault.ERROR),
    ("SCR-14 processes", "import subprocess", SandboxFault.ERROR),
    ("SCR-20 set", "{1, 2}", SandboxFault.RESULT),
    ("SCR-20 bytes", "b'x'", SandboxFault.RESULT),
    ("SCR-20 NaN", "[float('nan')]", SandboxFault.RESULT),
    ("SCR-20 key", "{1: 2}", SandboxFault.RESULT),
    ("SCR-20 object", "class Point: pass\nPoint()", SandboxFault.RESULT),
    ("SCR-20 host function", "http", SandboxFault.RESULT),
    ("SCR-20 beyond 64 bits", "2**70", SandboxFault.RESULT),
    ("SCR-22", DEEP, SandboxFault.DEPTH),
    ("SCR-27", "raise ValueError()", SandboxFault.ERROR),
    ("own time-out", "raise TimeoutError('mine')", SandboxFault.ERROR),
    ("HTTP with what is no JSON", "http.post('x', json=b'1')", SandboxFault.ERROR),
]


@pytest.mark.parametrize(("source", "result"), [pytest.param(*case[1:], id=case[0]) for case in RESULTS])
async def test_script_gives_its_result(source: str, result: JsonValue, sandbox: Sandbox):
    assert await sandbox.run(source, language="python") == result


@pytest.mark.parametrize(("source", "fault"), [pytest.param(*case[1:], id=case[0]) for case in FAULTS])
async def test_script_ends_as_one_clear_error_and_the_next_is_well(source: str, fault: SandboxFault, sandbox: Sandbox):
    error = await sandbox.fail(source, language="python")
    assert error.fault is fault, error.message
    assert error.message.endswith(".")
    assert await sandbox.run("[str(input), 1]", {"a": 1}, "python") == ["{'a': 1}", 1]


async def test_scr_02_an_error_tells_where_in_the_source(sandbox: Sandbox):
    thrown = await sandbox.fail("x = None\n\nx.y", language="python")
    assert (thrown.line, thrown.column) == (3, 1)
    written = await sandbox.fail("x = 1\n  y = 2", language="python")
    assert (written.fault, written.line) == (SandboxFault.SYNTAX, 2)


async def test_scr_24_a_log_without_end_is_cut(sandbox: Sandbox):
    assert await sandbox.run("for i in range(1000):\n  print('x' * 10_000)\n1", language="python") == 1
    assert sum(len(message) for _, message, fields in sandbox.log if not fields) <= 64 * 1024
    assert sandbox.log[-1][2] == {"truncated": True}
    assert await sandbox.run("print('x' * 200_000, end='')\n1", language="python") == 1
    assert sandbox.log[-1][2] == {"truncated": True}


async def test_a_script_writes_to_the_log_by_level(sandbox: Sandbox):
    source = "print('a', 1)\nprint('b\\nc', end='')\nlog.warning('odd', n=1)\nlog.error({'a': 1}, x={1, 2})\nprint('end')"
    await sandbox.run(source, language="python")
    assert sandbox.log[:4] == [("info", "a 1", {}), ("info", "b", {}), ("info", "c", {}), ("warning", "odd", {"n": 1})]
    level, message, fields = sandbox.log[4]
    assert (level, message, "set" in str(fields["fields"])) == ("error", "{'a': 1}", True)
    assert sandbox.log[5:] == [("info", "end", {})]


async def test_scr_27_a_huge_error_is_cut(sandbox: Sandbox):
    error = await sandbox.fail("raise ValueError('é' * 100_000)", language="python")
    assert len(error.message.encode()) <= EXCERPT_MAX_BYTES + 40


async def test_a_script_calls_the_host(sandbox: Sandbox):
    source = "[http.get('a', query={'q': 1})['body'], http.request('OPTIONS', 'b')['status']]"
    assert await sandbox.run(source, language="python") == ["a", 200]
    assert sandbox.host.asked == [("GET", "a", {"query": {"q": 1}}), ("OPTIONS", "b", {})]


async def test_a_failed_call_is_an_os_error_that_begins_with_its_code(sandbox: Sandbox):
    source = "try:\n  http.get('bad')\nexcept OSError as error:\n  said = str(error)\nsaid"
    assert await sandbox.run(source, language="python") == "egress_denied: The host may not be called."


async def test_a_failed_call_that_is_not_caught_is_the_hosts_own_fault(sandbox: Sandbox):
    with pytest.raises(HostFault) as caught:
        await sandbox.run("http.get('bad')", language="python")
    assert caught.value.code == "egress_denied"


async def test_scr_37_nothing_of_a_script_is_left_for_the_next(sandbox: Sandbox):
    await sandbox.run("left = 'secret'\nimport math\nmath.pi", language="python")
    error = await sandbox.fail("left", language="python")
    assert "NameError" in error.message


async def test_without_its_package_python_is_not_installed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    def find_nothing(name: str) -> None:
        del name

    monkeypatch.setattr(process, "find_spec", find_nothing)  # the package is installed here, so that its absence must be made
    with pytest.raises(SandboxError) as caught:
        await sandbox.run("1", language="python")
    assert caught.value.fault is SandboxFault.NOT_INSTALLED
    assert "pip install 'flowforge[python-scripts]'" in caught.value.message
