"""Scripts in JavaScript: what they give, and how they end (cases SCR of the reliability catalogue)."""

import pytest
from tests.kit.sandbox.conftest import LIMITS, Sandbox

from flowforge.kit.limits import Limits
from flowforge.kit.masking import EXCERPT_MAX_BYTES
from flowforge.kit.sandbox.errors import HostFault, SandboxFault
from flowforge.kit.sandbox.pool import SandboxPool
from flowforge.kit.values import JsonValue

DEEP = "let top = {}; let at = top; for (let i = 0; i < 1000; i++) { at.a = {}; at = at.a } return top"
GLOBALS = (
    "AggregateError Array ArrayBuffer AsyncDisposableStack BigInt BigInt64Array BigUint64Array Boolean DOMException DataView Date "
    "DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array Float64Array Function Infinity Int16Array Int32Array "
    "Int8Array InternalError Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set String "
    "SuppressedError Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet "
    "atob btoa console context decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval globalThis http input isFinite isNaN "
    "log parseFloat parseInt performance queueMicrotask undefined unescape"
)
WALK = """
const seen = new Set(); const names = [];
const walk = (value, path, depth) => {
  if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value) || depth > 6) return;
  seen.add(value);
  for (const key of Reflect.ownKeys(value)) {
    const found = Object.getOwnPropertyDescriptor(value, key);
    const name = path + "." + String(key);
    if (/^\\.(http|log|console|context|input)\\./.test(name) && typeof key === "string" && depth < 2) names.push(name);
    for (const part of [found.value, found.get, found.set]) walk(part, name, depth + 1);
  }
  walk(Object.getPrototypeOf(value), path + ".__proto__", depth + 1);
};
walk(globalThis, "", 0);
return names.filter((name) => name.split(".").length <= 3 && !/\\.(name|length)$/.test(name)).sort();
"""

RESULTS: list[tuple[str, str, JsonValue]] = [
    ("SCR-01 empty", "", None),
    ("SCR-01 comment", "// nothing", None),
    ("SCR-11 inconsistent order", "return [3, 1, 2].sort(() => -1).length", 3),
    ("SCR-15 own realm", "return Function('return this')() === globalThis && eval('typeof http') === 'object'", True),
    (
        "SCR-17 Object.prototype",
        "Object.prototype.toJSON = () => 5; Object.prototype.extra = 1; return { a: [1, {}] }",
        {"a": [1, {}]},
    ),
    ("SCR-17 JSON", "JSON.stringify = () => 'forged'; JSON.parse = null; return { a: 'b' }", {"a": "b"}),
    ("SCR-17 Array.prototype", "Array.prototype.toJSON = () => 7; Array.prototype.join = () => 'x'; return [[1], 2]", [[1], 2]),
    (
        "SCR-17 indexes",
        "Object.defineProperty(Array.prototype, '0', { set() { throw 1 }, get() { return 9 } }); return { a: [1] }",
        {"a": [1]},
    ),
    ("SCR-17 Promise", "Promise.prototype.then = null; Promise = null; return 1", 1),
    ("SCR-20 undefined", "return undefined", None),
    ("SCR-20 undefined inside", "return [undefined, , { a: undefined, b: null }]", [None, None, {"b": None}]),
    ("SCR-20 Date", "return { at: new Date(0) }", {"at": "1970-01-01T00:00:00.000Z"}),
    ("SCR-31 WebAssembly", "return typeof WebAssembly", "undefined"),
    ("SCR-30 shared memory", "return [typeof SharedArrayBuffer, typeof Atomics]", ["undefined", "undefined"]),
    (
        "SCR-33 zone",
        "return [new Date(0).getTimezoneOffset(), new Date(2026, 6, 1).toISOString()]",
        [0, "2026-07-01T00:00:00.000Z"],
    ),
    ("SCR-33 locale", "return [(1234.5).toLocaleString(), typeof Intl]", ["1234.5", "undefined"]),
    ("class", "class Point { constructor() { this.x = 1 } get y() { return 2 } } return new Point()", {"x": 1}),
    ("without prototype", "return Object.assign(Object.create(null), { a: 1 })", {"a": 1}),
    ("numbers", "return [-0, 1.5, 1e21, 2 ** 53]", [0, 1.5, 1e21, 2**53]),
    ("await", "const all = await Promise.all([1, 2].map(async (n) => n * 2)); return all", [2, 4]),
    ("line ends", "return 'a\\u2028b\\n'", "a\u2028b\n"),
]

FAULTS: list[tuple[str, str, SandboxFault]] = [
    ("SCR-04", "while (true) {}", SandboxFault.TIMEOUT),
    ("SCR-04 caught", "try { while (true) {} } catch { return 1 }", SandboxFault.TIMEOUT),
    ("SCR-05 A03 not interruptible", "new Array(1e9) + ''", SandboxFault.TIMEOUT),
    ("SCR-06", "return 'a'.repeat(2 ** 29)", SandboxFault.MEMORY),
    ("SCR-07", "const all = []; while (true) all.push({})", SandboxFault.MEMORY),
    ("SCR-07 cycles", "const all = []; while (true) all.push([all, 'x' + all.length])", SandboxFault.MEMORY),
    ("SCR-07 map", "const all = new Map(); for (let i = 0; ; i++) all.set(i, Array(500).fill(i))", SandboxFault.MEMORY),
    ("SCR-08", "function down() { down() } down()", SandboxFault.STACK),
    ("SCR-08 parser", "JSON.parse('['.repeat(1e5))", SandboxFault.STACK),
    ("SCR-09", "return /(a+)+$/.test('a'.repeat(40) + 'b')", SandboxFault.TIMEOUT),
    ("SCR-10", "return String(10n ** (10n ** 6n))", SandboxFault.MEMORY),
    ("SCR-11", "[3, 1, 2].sort(() => { throw new Error('no order') })", SandboxFault.ERROR),
    ("SCR-12", "await new Promise(() => (function next() { Promise.resolve().then(next) })())", SandboxFault.TIMEOUT),
    ("SCR-13", "await new Promise(() => {})", SandboxFault.UNSETTLED),
    ("SCR-14 setTimeout", "setTimeout(() => {}, 1)", SandboxFault.ERROR),
    ("SCR-14 fetch", "await fetch('https://example.com')", SandboxFault.ERROR),
    ("SCR-14 require", "require('fs')", SandboxFault.ERROR),
    ("SCR-14 import", "await import('os')", SandboxFault.ERROR),
    ("SCR-14 std", "std.open('/etc/passwd')", SandboxFault.ERROR),
    ("SCR-14 os", "os.exec(['sh'])", SandboxFault.ERROR),
    ("SCR-18 getter", "return { get a() { throw new Error('no') } }", SandboxFault.RESULT),
    ("SCR-18 getter throws null", "return { get a() { throw null } }", SandboxFault.RESULT),
    ("SCR-18 toJSON", "return { toJSON() { throw 1 } }", SandboxFault.RESULT),
    ("SCR-18 Proxy", "return new Proxy({}, { ownKeys() { throw new Error('no') } })", SandboxFault.RESULT),
    (
        "SCR-18 endless Proxy",
        "const p = new Proxy({}, { ownKeys: () => ['a'], get: () => p, getOwnPropertyDescriptor: () => ({ configurable: true, enumerable: true, value: p }) }); return p",
        SandboxFault.RESULT,
    ),
    ("SCR-19", "const a = {}; a.a = a; return a", SandboxFault.RESULT),
    ("SCR-20 function", "return () => 1", SandboxFault.RESULT),
    ("SCR-20 symbol", "return Symbol('a')", SandboxFault.RESULT),
    ("SCR-20 BigInt", "return 10n", SandboxFault.RESULT),
    ("SCR-20 NaN", "return [NaN]", SandboxFault.RESULT),
    ("SCR-20 Map", "return new Map()", SandboxFault.RESULT),
    ("SCR-20 invalid Date", "return new Date(NaN)", SandboxFault.RESULT),
    ("SCR-20 typed array", "return new Uint8Array(2)", SandboxFault.RESULT),
    ("SCR-20 Error", "return new Error('no')", SandboxFault.RESULT),
    ("SCR-22", DEEP, SandboxFault.DEPTH),
    ("SCR-23", "return 'a' + String.fromCharCode(0xd800)", SandboxFault.ENCODING),
    ("SCR-23 key", "return { ['\\ud800']: 1 }", SandboxFault.ENCODING),
    ("SCR-27 null", "throw null", SandboxFault.ERROR),
    ("SCR-27 undefined", "throw undefined", SandboxFault.ERROR),
    ("SCR-27 bad stack", "throw { stack: { get x() { throw 1 } }, get message() { throw 2 } }", SandboxFault.ERROR),
    ("SCR-27 bad name", "const e = new Error('a'); e.name = { toString() { throw 1 } }; throw e", SandboxFault.ERROR),
    ("SCR-30", "new ArrayBuffer(2 ** 31)", SandboxFault.MEMORY),
    ("SCR-40 module", "import x from 'data:text/javascript;base64,AAAA'", SandboxFault.SYNTAX),
    ("SCR-40 bytecode", "\x43\x01\x02QJS\x00", SandboxFault.SYNTAX),
    ("strict", "undeclared = 1", SandboxFault.ERROR),
    ("leaves the function", "}); throw new Error('out'); (async function () {", SandboxFault.ERROR),
    ("HTTP with what is no JSON", "await http.post('x', { json: () => 1 })", SandboxFault.ERROR),
]


@pytest.mark.parametrize(("source", "result"), [pytest.param(*case[1:], id=case[0]) for case in RESULTS])
async def test_script_gives_its_result(source: str, result: JsonValue, sandbox: Sandbox):
    assert await sandbox.run(source) == result


@pytest.mark.parametrize(("source", "fault"), [pytest.param(*case[1:], id=case[0]) for case in FAULTS])
async def test_script_ends_as_one_clear_error_and_the_next_is_well(source: str, fault: SandboxFault, sandbox: Sandbox):
    error = await sandbox.fail(source)
    assert error.fault is fault, error.message
    assert not error.is_retryable
    assert error.message.endswith(".")
    assert await sandbox.run("return [typeof http.get, input]", {"a": 1}) == ["function", {"a": 1}]


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        pytest.param("let x = ;", 1, 9, id="SCR-02 first line"),
        pytest.param("const a = 1;\n\nreturn (a", 3, 1, id="SCR-02 unfinished"),
        pytest.param("\n\n  null.x", 3, 3, id="thrown by the engine"),
        pytest.param("const f = () => {\n  throw new Error('x')\n}\nf()", 2, 13, id="thrown by the script"),
    ],
)
async def test_scr_02_an_error_tells_where_in_the_source(source: str, line: int, column: int, sandbox: Sandbox):
    error = await sandbox.fail(source)
    assert error.line == line
    assert error.column in {column, column + 1, column + 2}
    assert f"(line {line}, column " in error.message


async def test_scr_02_a_source_is_checked_without_being_run(sandbox: Sandbox):
    assert await sandbox.pool.check_javascript("while (true) {}") is None
    fault = await sandbox.pool.check_javascript("return 1\nlet = ;")
    assert fault is not None
    assert (fault.fault, fault.line) == (SandboxFault.SYNTAX, 2)


async def test_scr_03_a_source_that_is_too_long_is_refused_before_it_starts(sandbox: Sandbox):
    limit = LIMITS.script_src_bytes
    assert await sandbox.run("//" + "x" * (limit - 2)) is None
    assert (await sandbox.fail("//" + "x" * (limit - 1))).fault is SandboxFault.SOURCE
    long = await sandbox.pool.check_javascript("é" * limit)
    assert long is not None
    assert long.fault is SandboxFault.SOURCE


async def test_scr_16_only_the_documented_names_are_there(sandbox: Sandbox):
    names = await sandbox.run("return Reflect.ownKeys(globalThis).filter((key) => typeof key === 'string').sort()")
    assert names == GLOBALS.split()
    found = await sandbox.run(WALK, {"of": "input"})
    assert isinstance(found, list)
    levels = ["console.debug", "console.error", "console.info", "console.log", "console.warn"]
    methods = ["http.delete", "http.get", "http.patch", "http.post", "http.put", "http.request"]
    own = [
        *levels,
        "context.attempt",
        "context.run_id",
        *methods,
        "input.of",
        "log.debug",
        "log.error",
        "log.info",
        "log.warning",
    ]
    assert [str(name).lstrip(".") for name in found if str(name).count(".") == 2] == own


async def test_scr_21_a_result_that_is_too_large_is_refused():
    limits = Limits(script_cpu_ms=2_000, step_out_max_bytes=100_000, script_mem_bytes=2**24)
    pool = SandboxPool(limits, size=1)
    sandbox = Sandbox(pool)
    assert await sandbox.run("return 'x'.repeat(99_998)") == "x" * 99_998
    assert (await sandbox.fail("return 'x'.repeat(100_001)")).fault is SandboxFault.OUTPUT_TOO_LARGE
    assert (await sandbox.fail("return Array(60_000).fill(1)")).fault is SandboxFault.OUTPUT_TOO_LARGE
    await pool.aclose()


async def test_scr_24_a_log_without_end_is_cut(sandbox: Sandbox):
    assert await sandbox.run("const line = 'x'.repeat(2 ** 20); for (let i = 0; i < 1024; i++) console.log(line); return 1") == 1
    assert sum(len(message) for _, message, fields in sandbox.log if not fields) <= 64 * 1024
    assert sandbox.log[-1][2] == {"truncated": True}
    assert sum(fields.get("truncated") is True for _, _, fields in sandbox.log) == 1


async def test_the_log_of_a_script_that_was_ended_is_kept(sandbox: Sandbox):
    assert (await sandbox.fail("console.log('got here'); while (true) {}")).fault is SandboxFault.TIMEOUT
    assert ("info", "got here", {}) in sandbox.log


async def test_a_script_writes_to_the_log_by_level(sandbox: Sandbox):
    await sandbox.run(
        "console.log('a', 1, { b: [true] }, null, undefined); console.warn(new Error('w')); console.error(() => 1, new Map());"
        "log.debug('d', { n: 1 }); log.info({ a: 1 }); log.warning('odd', { f() {} }); log.error('e', 'no fields');"
    )
    assert sandbox.log == [
        ("info", 'a 1 {"b":[true]} null undefined', {}),
        ("warning", "Error: w", {}),
        ("error", "() => 1 [object that cannot be shown]", {}),
        ("debug", "d", {"n": 1}),
        ("info", '{"a":1}', {}),
        ("warning", "odd", {"fields": "[object that cannot be shown]"}),
        ("error", "e", {}),
    ]


async def test_scr_26_a_frame_that_is_printed_is_but_a_line_of_the_log(sandbox: Sandbox):
    frame = '{"result":"forged","is_spent":false}'
    assert await sandbox.run("console.log('\\n' + input + '\\n'); log.info(input); return 'mine'", frame) == "mine"
    assert [message for _, message, _ in sandbox.log] == [f"\n{frame}\n", frame]


async def test_scr_27_a_huge_error_is_cut(sandbox: Sandbox):
    for source in ("throw 'é'.repeat(1e6)", "throw new Error('é'.repeat(1e6))"):
        error = await sandbox.fail(source)
        assert error.fault is SandboxFault.ERROR
        assert len(error.message.encode()) <= EXCERPT_MAX_BYTES + 40


async def test_scr_29_constructors_with_side_effects_harm_nobody(sandbox: Sandbox):
    source = """
      const views = [Int8Array, Uint16Array, Float64Array, BigInt64Array, DataView];
      for (const View of views) {
        const buffer = new ArrayBuffer(64, { maxByteLength: 128 });
        try { new View(buffer, { valueOf() { buffer.resize(0); return 8 } }, { valueOf() { buffer.resize(128); return 4 } }) } catch {}
        try { new View({ length: 8, get 0() { buffer.transfer?.(0); return 1 } }) } catch {}
        const trap = new Proxy(View, { get(target, key) { if (key === "prototype") buffer.resize(0); return target[key] } });
        try { Reflect.construct(View, [buffer], trap) } catch {}
      }
      return "done";
    """
    assert await sandbox.run(source) == "done"


async def test_scr_38_a_key_named_proto_is_a_key(sandbox: Sandbox):
    value: JsonValue = {"__proto__": {"a": 1}}
    assert await sandbox.run("return [Object.keys(input), ({}).a === undefined, input]", value) == [["__proto__"], True, value]


async def test_scr_39_a_large_input_is_refused_or_fits():
    pool = SandboxPool(Limits(), size=1)
    sandbox = Sandbox(pool)
    assert (await sandbox.fail("return 1", "x" * (10 * 2**20))).fault is SandboxFault.INPUT_TOO_LARGE
    assert await sandbox.run("return input.length", "x" * (4 * 2**20)) == 4 * 2**20
    assert (await sandbox.fail("return [input, input + 'x']", "é" * (4 * 2**20))).fault is SandboxFault.MEMORY
    await pool.aclose()


async def test_numbers_that_javascript_would_round_come_as_text(sandbox: Sandbox):
    value: JsonValue = {"id": 2**53 + 1, "ids": [-(2**60), 2**53 - 1], "price": 1e300, "is": True}
    assert await sandbox.run("return input", value) == {
        "id": str(2**53 + 1),
        "ids": [str(-(2**60)), 2**53 - 1],
        "price": 1e300,
        "is": True,
    }


async def test_a_script_calls_the_host(sandbox: Sandbox):
    source = (
        "const answers = await Promise.all([http.get('a', { query: { q: 1 } }), http.request('OPTIONS', 'b')]);"
        "return answers.map((answer) => answer.body)"
    )
    assert await sandbox.run(source) == ["a", "b"]
    assert sandbox.host.asked == [("GET", "a", {"query": {"q": 1}}), ("OPTIONS", "b", {})]


async def test_a_failed_call_is_an_error_with_a_code(sandbox: Sandbox):
    source = (
        "try { await http.get('bad') } catch (error) { return [error instanceof Error, error.name, error.code, error.message] }"
    )
    assert await sandbox.run(source) == [True, "HttpError", "egress_denied", "The host may not be called."]


async def test_a_failed_call_that_is_not_caught_is_the_hosts_own_fault(sandbox: Sandbox):
    with pytest.raises(HostFault) as caught:
        await sandbox.run("await http.get('bad')")
    assert (caught.value.code, type(caught.value.cause)) == ("egress_denied", ValueError)
    forged = await sandbox.fail("const error = new Error('no'); error.code = 'egress_denied'; error.call = 1; throw error")
    assert forged.fault is SandboxFault.ERROR


async def test_calls_that_are_not_awaited_end_before_the_script(sandbox: Sandbox):
    assert await sandbox.run("http.post('a'); http.post('bad'); return 1") == 1
    assert [url for _, url, _ in sandbox.host.asked] == ["a", "bad"]


async def test_the_number_of_calls_is_bounded(sandbox: Sandbox):
    with pytest.raises(HostFault) as caught:
        await sandbox.run("for (let i = 0; i < 101; i++) await http.get('a')")
    assert caught.value.code == "script_calls"
    assert len(sandbox.host.asked) == 100
