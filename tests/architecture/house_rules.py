"""The rules of this house that no tool knows. Each takes one file and gives what breaks the rule."""

import ast
import re
from collections.abc import Callable, Iterator

from tests.architecture.sources import Finding, Function, Source, dotted_name, list_functions

Rule = Callable[[Source], Iterator[Finding]]

SUPERVISORS = frozenset(
    {
        # Code that others wrote: a bad package must not stop the start, a bad step must not stop the engine.
        "src/flowforge/operations/registry.py:Registry._register_entry_point",
        "src/flowforge/operations/calling.py:run_pure",
        "src/flowforge/operations/calling.py:run_effect",
        "src/flowforge/operations/middleware.py:_ask",
        # One run's fault must not end the others.
        "src/flowforge/engine/executor/engine.py:Engine._turn_safely",
        "src/flowforge/engine/executor/making.py:AttemptMaker.make",
        "src/flowforge/engine/executor/intake.py:Intake._admit",
        # One commit's or one look's fault must not end those behind it: an engine that stands still keeps its runs from all others.
        "src/flowforge/engine/executor/commits.py:Committer._commit",
        "src/flowforge/engine/executor/intake.py:Intake._run",
        "src/flowforge/engine/executor/jobs.py:JobTaker._run",
        # One duty's fault must not stop the others.
        "src/flowforge/cluster/scheduler.py:Scheduler._do",
        # One look's fault must not be the last: a scheduler that does nothing more keeps no lease from the others, but may be the only one.
        "src/flowforge/cluster/scheduler.py:Scheduler._run",
        "src/flowforge/cluster/relay.py:Relay._run",
        # A broker and its client may fail in any way: those who ring never notice, and the worker looks by itself meanwhile.
        "src/flowforge/cluster/doorbell.py:CeleryDoorbell._send_all",
        "src/flowforge/cluster/consumer.py:RingConsumer._run",
        # The last line before a client: an answer with an id instead of a broken connection.
        "src/flowforge/web/frame.py:Frame._serve",
        # One pass' or one connection's fault must not end the others.
        "src/flowforge/entrypoints/server/duties.py:DutyLoops._run",
        "src/flowforge/live/connection.py:LiveConnection._pump",
        "src/flowforge/live/socket.py:LiveLayer.__call__",
        # The last line before a person: a sentence instead of a stack trace.
        "src/flowforge/entrypoints/cli/app.py:RootGroup.main",
    }
)
"""The functions that may catch everything, each with its reason."""

INSTALLATION_WIDE = frozenset(
    {
        # Keys belong to the installation, so its key rotation passes through all workspaces.
        "src/flowforge/vault/repository.py:list_secrets_with_other_key",
        "src/flowforge/vault/repository.py:replace_sealed",
        "src/flowforge/vault/repository.py:count_secrets_by_key",
        # Pieces belong to an upload, which is found by its workspace; old uploads are swept wherever they are.
        "src/flowforge/files/repository.py:list_pieces",
        "src/flowforge/files/repository.py:list_expired_uploads",
        "src/flowforge/files/repository.py:delete_upload",
        # Settings and flags are of the installation.
        "src/flowforge/configuration/repository.py:list_settings",
        "src/flowforge/configuration/repository.py:list_flags",
        "src/flowforge/configuration/repository.py:find_flag",
        # A definition is found by the digest of its content, which the run's own row names.
        "src/flowforge/runs/repository.py:find_definition",
        # The duties of the server fire the triggers of all workspaces.
        "src/flowforge/triggers/repository.py:list_live_triggers",
        "src/flowforge/triggers/repository.py:find_any_trigger",
    }
)
"""Repository functions that ask for rows of no one workspace, each with its reason."""

_TIME_AND_CHANCE = re.compile(
    r"(datetime\.)?(datetime|date)\.(now|utcnow|today)|time\.(time|time_ns)|(uuid\.)?uuid[14]|os\.urandom"
)
_PURE_FOLDERS = ("src/flowforge/language/", "src/flowforge/operations/", "src/flowforge/engine/machine/")
_FILE_CALLS = frozenset(
    {"read_text", "write_text", "read_bytes", "write_bytes", "mkdir", "unlink", "rmdir", "touch", "iterdir", "rglob"}
)
_MODULE_WORDS = frozenset({"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"})
_UNSAFE_MODULES = frozenset({"pickle", "dill", "marshal", "shelve", "cloudpickle"})
_UNSAFE_CALLS = frozenset(
    {"eval", "exec", "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "os.system", "os.popen"}
)
_ABBREVIATIONS = frozenset(
    """
    arg btn calc cb cfg cmd cnt conf cur dst dt err ev evt ex exc fn func hdr idx impl inst kw lbl len lst mgr msg num obj op ops opt opts
    param params pkg pos proc ptr qty recv repo req res resp ret rhs lhs src stmt str svc tbl tmp ts usr val vals wf
    """.split()  # noqa: SIM905 (a list of sixty quoted words is harder to read)
)
_PARAMETERS_OF_OTHERS = frozenset({"cmd_name"})
"""Names that a method must keep because it overrides another package's."""
_FOREIGN_WORDS = frozenset({"execution", "executions", "tenant", "tenants", "integration", "integrations"})


def forbid_time_and_chance(source: Source) -> Iterator[Finding]:
    """Clock, ids and randomness are handed in; only `kit` has them."""
    if not source.is_package or source.name.startswith("src/flowforge/kit/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _TIME_AND_CHANCE.fullmatch(dotted_name(node.func)):
            yield Finding(
                source.name, node.lineno, f"{dotted_name(node.func)} is for kit alone; take a clock, an id or a random source"
            )
        modules = _imported_modules(node)
        if {"random", "secrets"} & set(modules) or ("uuid" in modules and _imports_name(node, "uuid1", "uuid4")):
            yield Finding(source.name, _line_of(node), "randomness is for kit alone; take a source of it")


def forbid_io_in_pure_code(source: Source) -> Iterator[Finding]:
    """The language, the operations' definitions and the engine's core neither touch files nor make ids."""
    if not source.name.startswith(_PURE_FOLDERS):
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted_name(node.func)
        is_file_call = isinstance(node.func, ast.Attribute) and node.func.attr in _FILE_CALLS
        if called in {"open", "print", "input", "make_id", "IdSource", "os.getenv"} or is_file_call:
            yield Finding(source.name, node.lineno, f"{called or 'a file'} is I/O or chance, which a pure package does not have")


def forbid_catching_everything(source: Source) -> Iterator[Finding]:
    """Only named supervisors catch everything; whoever raises again at the end of the handler only tidies up."""
    if not source.is_package:
        return
    for name, function in list_functions(source.tree):
        if f"{source.name}:{name}" in SUPERVISORS:
            continue
        for node in _walk_own(function):
            if isinstance(node, ast.ExceptHandler) and _catches_everything(node) and not _raises_again(node):
                yield Finding(source.name, node.lineno, f"{name} catches everything and is no named supervisor")


def forbid_silent_handlers(source: Source) -> Iterator[Finding]:
    """An exception that is caught and dropped says so with `contextlib.suppress` and a comment."""
    if not source.is_package:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body):
            yield Finding(source.name, node.lineno, "an exception is swallowed")


def require_reason_for_late_imports(source: Source) -> Iterator[Finding]:
    """An import inside a function has a comment that says what it saves, on its line or above."""
    if not source.is_package:
        return
    for _, function in list_functions(source.tree):
        for node in _walk_own(function):
            if isinstance(node, ast.Import | ast.ImportFrom) and not _has_comment(
                source, node.lineno, node.end_lineno or node.lineno
            ):
                yield Finding(source.name, node.lineno, "an import inside a function says in a comment what it saves")


def forbid_vague_modules(source: Source) -> Iterator[Finding]:
    """A module is named after what is in it."""
    words = {part.removesuffix(".py") for part in source.name.split("/")}
    for word in sorted(words & _MODULE_WORDS):
        yield Finding(source.name, 1, f"{word} says nothing about what is inside")


def forbid_built_sql(source: Source) -> Iterator[Finding]:
    """SQL given to `text()` is constant; values are bound."""
    if not source.is_package:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and dotted_name(node.func) in {"text", "sa.text", "sqlalchemy.text"} and node.args:
            built = node.args[0]
            is_formatted = (
                isinstance(built, ast.Call) and isinstance(built.func, ast.Attribute) and built.func.attr in {"format", "join"}
            )
            if isinstance(built, ast.JoinedStr | ast.BinOp) or is_formatted:
                yield Finding(source.name, node.lineno, "SQL in text() is built from parts; bind the values")


def forbid_unsafe_loading(source: Source) -> Iterator[Finding]:
    """Nothing that runs code hidden in data."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and dotted_name(node.func) in _UNSAFE_CALLS:
            yield Finding(source.name, node.lineno, f"{dotted_name(node.func)} runs what it is given")
        for module in _imported_modules(node):
            if module.split(".")[0] in _UNSAFE_MODULES:
                yield Finding(source.name, _line_of(node), f"{module} runs what it is given")


def forbid_print(source: Source) -> Iterator[Finding]:
    """Only the entry points talk to a terminal."""
    if not source.is_package or source.name.startswith("src/flowforge/entrypoints/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and dotted_name(node.func) == "print":
            yield Finding(source.name, node.lineno, "print is for the entry points; write a log line")


def forbid_abbreviations(source: Source) -> Iterator[Finding]:
    """What others call or read has whole words: modules, classes, functions and their parameters."""
    if not source.is_package:
        return
    for line, name in _list_definitions(source):
        if name.startswith("_"):
            continue
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
        for word in sorted(words & _ABBREVIATIONS):
            yield Finding(source.name, line, f"{name}: write {word} as a whole word")
        for word in sorted(words & _FOREIGN_WORDS):
            yield Finding(source.name, line, f"{name}: docs/glossary.md has another word for {word}")


def require_workspace(source: Source) -> Iterator[Finding]:
    """A function of a repository takes the workspace and uses it."""
    if not source.is_package or not source.name.endswith("/repository.py"):
        return
    for name, function in list_functions(source.tree):
        if name.startswith("_") or "." in name or f"{source.name}:{name}" in INSTALLATION_WIDE:
            continue
        used = {node.id for line in function.body for node in ast.walk(line) if isinstance(node, ast.Name)}
        if "workspace_id" not in used & {parameter.arg for parameter in [*function.args.args, *function.args.kwonlyargs]}:
            yield Finding(source.name, function.lineno, f"{name} does not filter by its parameter workspace_id")


def require_assertions(source: Source) -> Iterator[Finding]:
    """A test can fail: it asserts, expects an exception, or calls something in its file that does."""
    if not source.is_test:
        return
    functions = {name.split(".")[-1]: function for name, function in list_functions(source.tree)}
    for name, function in list_functions(source.tree):
        if name.split(".")[-1].startswith("test_") and not _can_fail(function, functions, set()):
            yield Finding(source.name, function.lineno, f"{name} asserts nothing")


RULES: tuple[Rule, ...] = (
    forbid_time_and_chance,
    forbid_io_in_pure_code,
    forbid_catching_everything,
    forbid_silent_handlers,
    require_reason_for_late_imports,
    forbid_vague_modules,
    forbid_built_sql,
    forbid_unsafe_loading,
    forbid_print,
    forbid_abbreviations,
    require_workspace,
    require_assertions,
)


def _imported_modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def _imports_name(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.ImportFrom) and any(name.name in names for name in node.names)


def _line_of(node: ast.AST) -> int:
    return node.lineno if isinstance(node, ast.stmt | ast.expr) else 1


def _walk_own(function: Function) -> Iterator[ast.AST]:
    """What is in a function, but not in those inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or dotted_name(kind) in {"Exception", "BaseException"} for kind in kinds)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _has_comment(source: Source, first: int, last: int) -> bool:
    lines = source.lines
    # A comment stands above a block of imports for all of them.
    above = first - 1
    while above > 1 and re.match(r"\s*(from|import)\b", lines[above - 1]):
        above -= 1
    return lines[above - 1].lstrip().startswith("#") or any("#" in line for line in lines[first - 1 : last])


def _list_definitions(source: Source) -> Iterator[tuple[int, str]]:
    yield 1, source.name.split("/")[-1].removesuffix(".py")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg) and node.arg not in _PARAMETERS_OF_OTHERS:
            yield node.lineno, node.arg


def _can_fail(function: Function, functions: dict[str, Function], seen: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if not isinstance(node, ast.Call):
            continue
        called = dotted_name(node.func).split(".")[-1]
        if called in {"raises", "warns", "fail"} or called.startswith(("assert_", "check_", "expect_", "run_state_machine")):
            return True
        if called in functions and called not in seen and _can_fail(functions[called], functions, seen | {called}):
            return True
    return False
