import pytest
from tests.architecture.house_rules import (
    RULES,
    Rule,
    forbid_abbreviations,
    forbid_built_sql,
    forbid_catching_everything,
    forbid_io_in_pure_code,
    forbid_print,
    forbid_silent_handlers,
    forbid_time_and_chance,
    forbid_unsafe_loading,
    forbid_vague_modules,
    require_assertions,
    require_reason_for_late_imports,
    require_workspace,
)
from tests.architecture.sources import list_sources, parse_source

ENGINE = "src/flowforge/engine/loop.py"
MACHINE = "src/flowforge/engine/machine/decide.py"
KIT = "src/flowforge/kit/clock.py"
CLI = "src/flowforge/entrypoints/cli/app.py"
REPOSITORY_MODULE = "src/flowforge/runs/repository.py"
TEST = "tests/engine/test_x.py"

GOOD: list[tuple[Rule, str, str]] = [
    (forbid_time_and_chance, KIT, "import time\nnow = time.time()"),
    (forbid_time_and_chance, ENGINE, "now = clock.now_ms()\nparsed = datetime.fromtimestamp(now)"),
    (forbid_time_and_chance, TEST, "import time\nnow = time.time()"),
    (forbid_io_in_pure_code, MACHINE, "x = read(state)"),
    (forbid_io_in_pure_code, ENGINE, "x = open('a')"),
    (forbid_catching_everything, ENGINE, "def f():\n try:\n  g()\n except ValueError:\n  h()"),
    (forbid_catching_everything, ENGINE, "def f():\n try:\n  g()\n except BaseException:\n  h()\n  raise"),
    (forbid_catching_everything, CLI, "class RootGroup:\n def main():\n  try:\n   g()\n  except Exception:\n   h()"),
    (forbid_silent_handlers, ENGINE, "try:\n g()\nexcept ValueError:\n h()"),
    (require_reason_for_late_imports, ENGINE, "def f():\n import yaml  # heavy"),
    (require_reason_for_late_imports, ENGINE, "def f():\n # heavy\n from a import b\n from c import d"),
    (forbid_vague_modules, ENGINE, ""),
    (forbid_built_sql, ENGINE, "text('select 1 where a = :a')"),
    (forbid_unsafe_loading, ENGINE, "import json\nyaml.safe_load(x)\nmodel.eval(x)"),
    (forbid_print, CLI, "print('x')"),
    (forbid_abbreviations, ENGINE, "def find_run(run_id, db, url): pass"),
    (require_workspace, REPOSITORY_MODULE, "async def find_run(session, workspace_id, x):\n return f(workspace_id)"),
    (require_workspace, REPOSITORY_MODULE, "def _inner(session): pass"),
    (require_assertions, TEST, "def test_a():\n assert f()"),
    (require_assertions, TEST, "def test_a():\n with pytest.raises(X):\n  f()"),
    (require_assertions, TEST, "def refuse():\n assert f()\ndef test_a():\n refuse()"),
]
BAD: list[tuple[Rule, str, str]] = [
    (forbid_time_and_chance, ENGINE, "now = datetime.now(UTC)"),
    (forbid_time_and_chance, ENGINE, "now = datetime.datetime.utcnow()"),
    (forbid_time_and_chance, ENGINE, "now = time.time()"),
    (forbid_time_and_chance, ENGINE, "x = uuid4()"),
    (forbid_time_and_chance, ENGINE, "import random"),
    (forbid_time_and_chance, ENGINE, "from uuid import uuid4"),
    (forbid_io_in_pure_code, MACHINE, "x = open('a')"),
    (forbid_io_in_pure_code, MACHINE, "x = path.read_text()"),
    (forbid_io_in_pure_code, MACHINE, "x = make_id('run')"),
    (forbid_catching_everything, ENGINE, "def f():\n try:\n  g()\n except Exception:\n  h()"),
    (forbid_catching_everything, ENGINE, "def f():\n try:\n  g()\n except (ValueError, Exception) as e:\n  raise X from e"),
    (forbid_catching_everything, CLI, "def other():\n try:\n  g()\n except:\n  h()"),
    (forbid_silent_handlers, ENGINE, "try:\n g()\nexcept ValueError:\n pass"),
    (require_reason_for_late_imports, ENGINE, "def f():\n import yaml"),
    (require_reason_for_late_imports, ENGINE, "def f():\n from a import (\n  b,\n )"),
    (forbid_vague_modules, "src/flowforge/engine/utils.py", ""),
    (forbid_vague_modules, "tests/helpers/x.py", ""),
    (forbid_built_sql, ENGINE, "text(f'select {a}')"),
    (forbid_built_sql, ENGINE, "sa.text('select ' + a)"),
    (forbid_built_sql, ENGINE, "text('select %s' % a)"),
    (forbid_built_sql, ENGINE, "text('select {}'.format(a))"),
    (forbid_unsafe_loading, ENGINE, "eval(x)"),
    (forbid_unsafe_loading, ENGINE, "yaml.load(x)"),
    (forbid_unsafe_loading, TEST, "import pickle"),
    (forbid_unsafe_loading, TEST, "from marshal import loads"),
    (forbid_print, ENGINE, "print('x')"),
    (forbid_abbreviations, ENGINE, "def find_req(): pass"),
    (forbid_abbreviations, ENGINE, "def find(cfg): pass"),
    (forbid_abbreviations, ENGINE, "class RunMgr: pass"),
    (forbid_abbreviations, ENGINE, "def find_tenant(): pass"),
    (forbid_abbreviations, "src/flowforge/engine/msg.py", ""),
    (require_workspace, REPOSITORY_MODULE, "async def find_run(session, x): pass"),
    (require_workspace, REPOSITORY_MODULE, "async def find_run(session, workspace_id): return x"),
    (require_assertions, TEST, "def test_a():\n f()"),
    (require_assertions, TEST, "def f():\n test_a()\ndef test_a():\n f()"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds_in_the_whole_repository(rule: Rule):
    findings = [str(finding) for source in list_sources() for finding in rule(source)]
    assert findings == []


@pytest.mark.parametrize(("rule", "name", "text"), GOOD)
def test_rule_lets_good_code_pass(rule: Rule, name: str, text: str):
    assert list(rule(parse_source(name, text))) == []


@pytest.mark.parametrize(("rule", "name", "text"), BAD)
def test_rule_finds_bad_code(rule: Rule, name: str, text: str):
    assert len(list(rule(parse_source(name, text)))) == 1


def test_every_rule_has_a_good_and_a_bad_sample():
    assert {rule for rule, _, _ in GOOD} == {rule for rule, _, _ in BAD} == set(RULES)
