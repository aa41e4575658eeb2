"""JSONata, evaluated in a process of its own."""

import pytest
from tests.kit.sandbox.conftest import Sandbox

from flowforge.kit.sandbox.errors import SandboxError, SandboxFault
from flowforge.kit.values import JsonValue

DATA: JsonValue = {"items": [{"name": "a", "price": 1}, {"name": "b", "price": 2**53 + 1}]}

RESULTS: list[tuple[str, JsonValue]] = [
    ("items[price > 1].name", "b"),
    ("items[1].price", 2**53 + 1),
    ("items.{name: price}", [{"a": 1}, {"b": 2**53 + 1}]),
    ("$count(items)", 2),
    ("nothing.there", None),
    ("$sum(items[0].price) + 1", 2),
    ("$fromMillis(0, '[Y]-[M01]-[D01]')", "1970-01-01"),
    ("$formatNumber(12345.6, '#,##0.00')", "12,345.60"),
    ("$match('ab', /a(b)/).groups", ["b"]),
    ("$substring('héllo', 1, 2)", "él"),
]

FAULTS: list[tuple[str, SandboxFault]] = [
    ("items[", SandboxFault.JSONATA),
    ("", SandboxFault.JSONATA),
    ("$nothing()", SandboxFault.JSONATA),
    ("1 / 0", SandboxFault.JSONATA),
    ("$error('mine')", SandboxFault.JSONATA),
    ("($f := function($x) { 1 + $f($x) }; $f(1))", SandboxFault.STACK),
    ("($f := function($x) { $f($x) }; $f(1))", SandboxFault.TIMEOUT),
    ("$match('" + "a" * 40 + "b', /(a+)+$/)", SandboxFault.TIMEOUT),
    ("$pad('a', 200000000)", SandboxFault.MEMORY),
    ("function($x) { $x }", SandboxFault.RESULT),
    ("x" * 65_537, SandboxFault.SOURCE),
]


@pytest.mark.parametrize(("query", "result"), RESULTS)
async def test_query_gives_its_result(query: str, result: JsonValue, sandbox: Sandbox):
    assert await sandbox.pool.evaluate_jsonata(query, DATA) == result


@pytest.mark.parametrize(("query", "fault"), [pytest.param(*case, id=case[0][:30]) for case in FAULTS])
async def test_query_ends_as_one_clear_error_and_the_next_is_well(query: str, fault: SandboxFault, sandbox: Sandbox):
    with pytest.raises(SandboxError) as caught:
        await sandbox.pool.evaluate_jsonata(query, DATA)
    assert caught.value.fault is fault, caught.value.message
    assert await sandbox.pool.evaluate_jsonata("1 + 1", None) == 2


async def test_a_fault_tells_its_place(sandbox: Sandbox):
    with pytest.raises(SandboxError) as caught:
        await sandbox.pool.evaluate_jsonata("items\n  .)", DATA)
    assert caught.value.line == 2
    assert "(line 2, column " in caught.value.message
