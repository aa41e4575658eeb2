import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import pytest

from flowforge import steps
from flowforge.kit.errors import AlreadyExistsError, NotFoundError
from flowforge.kit.values import JsonValue
from flowforge.operations import Nature, Operation, Registry, StrictModel, operation
from flowforge.operations.calling import call_pure
from flowforge.operations.reference import describe_operation, render_reference
from flowforge.steps import load_registry

FIXTURES = Path(__file__).parents[1] / "fixtures"

SHIPPED = {
    "crypto.hash",
    "crypto.hmac",
    "data.convert",
    "data.filter",
    "data.group",
    "file.list",
    "file.read",
    "file.write",
    "http.request",
    "log.write",
}


class Nothing(StrictModel):
    """No parameters."""


@operation("test.nothing", title="Nothing", category="test", icon="x", nature=Nature.PURE)
def do_nothing(parameters: Nothing) -> JsonValue:
    """Does nothing."""
    return None


@operation("test.nothing", title="Nothing else", category="test", icon="x", nature=Nature.PURE)
def do_nothing_else(parameters: Nothing) -> JsonValue:
    """Does nothing else."""
    return None


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, on the path for this test."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    invalidate_caches()
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith(("flowforge_weather", "other_package")):
            del sys.modules[name]


def install_by_hand(site: Path, name: str, module: str, source: str) -> None:
    """What an installer leaves behind: the module, and a folder that says what it is."""
    (site / f"{module}.py").write_text(textwrap.dedent(source))
    facts = site / f"{name.replace('-', '_')}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[flowforge.operations]\nthing = {module}\n")


def test_all_shipped_operations_are_found():
    registry = load_registry()
    assert set(registry.names()) >= SHIPPED
    assert registry.problems == []
    assert {registry.get_source(name) for name in SHIPPED} == {"flowforge"}
    assert [found.name for found in registry.all()] == sorted(registry.names())


def test_every_operation_in_the_package_is_in_the_file_of_its_name():
    registry = load_registry()
    modules = [import_module(found.name) for found in walk_packages(steps.__path__, f"{steps.__name__}.") if not found.ispkg]
    found = {item.name: module.__name__ for module in modules for item in vars(module).values() if isinstance(item, Operation)}
    assert sorted(found) == registry.names()
    assert all(registry.get(name).function.__module__ == f"{steps.__name__}.{name}" for name in found)


def test_find_gives_none_and_get_raises_for_an_unknown_name():
    registry = Registry()
    registry.register(do_nothing)
    assert registry.find("test.nothing") is do_nothing
    assert registry.find("test.other") is None
    assert "test.nothing" in registry
    assert len(registry) == 1
    with pytest.raises(NotFoundError, match=r"test\.other"):
        registry.get("test.other")


def test_a_second_operation_of_a_name_is_refused_naming_both_packages():
    registry = Registry()
    registry.register(do_nothing, "first-package")
    registry.register(do_nothing, "first-package")
    with pytest.raises(AlreadyExistsError, match=r"second-package.*first-package"):
        registry.register(do_nothing_else, "second-package")
    assert registry.get("test.nothing") is do_nothing


def test_a_module_gives_every_operation_in_it():
    module = ModuleType("shop")
    vars(module).update(do_nothing=do_nothing, number=3, other=do_nothing_else)
    registry = Registry()
    registry.register_module(module, "shop")
    assert registry.names() == ["test.nothing"]
    assert len(registry.problems) == 1


def test_extra_operations_are_taken_last():
    assert "test.nothing" in load_registry([do_nothing])
    with pytest.raises(AlreadyExistsError, match=r"crypto\.hash"):
        load_registry([make_impostor()])


def make_impostor():
    @operation("crypto.hash", title="Mine", category="test", icon="x", nature=Nature.PURE)
    def impostor(parameters: Nothing) -> JsonValue:
        """Is not the real one."""
        return None

    return impostor


def test_a_package_of_someone_else_adds_its_operation_by_being_installed(site: Path):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps"]
    done = subprocess.run(
        [*command, "--target", str(site), str(FIXTURES / "plugin_package")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    registry = load_registry()
    found = registry.get("weather.feels_like")
    assert registry.problems == []
    assert registry.get_source("weather.feels_like") == "flowforge-weather"
    for example in found.examples:
        assert call_pure(found, example.parameters) == example.result
    assert "| `wind_kmh` | number | `0` | The speed of the wind. |" in render_reference(found)
    assert describe_operation(found)["name"] == "weather.feels_like"


def test_a_broken_package_is_one_problem_and_the_rest_goes_on(site: Path, caplog: pytest.LogCaptureFixture):
    install_by_hand(site, "broken-package", "other_package_broken", "import no_such_module_anywhere\n")
    install_by_hand(site, "wrong-package", "other_package_wrong", WRONG)
    install_by_hand(site, "good-package", "other_package_good", GOOD.replace("NAME", "other.good"))
    registry = load_registry()
    assert "other.good" in registry
    assert set(registry.names()) >= SHIPPED
    broken, wrong = registry.problems
    assert "broken-package" in broken
    assert "no_such_module_anywhere" in broken
    assert "wrong-package" in wrong
    assert "docstring" in wrong
    assert caplog.messages == registry.problems
    assert "Traceback" not in caplog.text


def test_a_package_that_takes_a_name_of_another_is_told_both(site: Path):
    install_by_hand(site, "a-package", "other_package_a", GOOD.replace("NAME", "other.same"))
    install_by_hand(site, "b-package", "other_package_b", GOOD.replace("NAME", "other.same"))
    install_by_hand(site, "c-package", "other_package_c", GOOD.replace("NAME", "crypto.hash"))
    registry = load_registry()
    assert registry.get_source("other.same") == "a-package"
    assert registry.get_source("crypto.hash") == "flowforge"
    second, third = registry.problems
    assert "a-package" in second
    assert "b-package" in second
    assert "c-package" in third
    assert "flowforge" in third


def test_a_package_brings_middlewares_by_a_group_of_their_own(site: Path):
    install_by_hand(site, "house-package", "other_package_house", MIDDLEWARES)
    facts = site / "house_package-1.0.dist-info" / "entry_points.txt"
    facts.write_text("[flowforge.middlewares]\nhouse = other_package_house\n")
    registry = load_registry()
    assert [middleware.name for middleware in registry.list_middlewares()] == ["house.first", "house.second"]
    assert [middleware.name for middleware in registry.find_middlewares("crypto.hash")] == ["house.second"]
    (problem,) = registry.problems
    assert "wrong" in problem
    assert "it needs one of before, after and on_error" in problem


def test_an_entry_point_that_names_no_module_is_a_problem(site: Path):
    install_by_hand(site, "odd-package", "other_package_odd", "thing = 3\n")
    facts = site / "odd_package-1.0.dist-info" / "entry_points.txt"
    facts.write_text("[flowforge.operations]\nthing = other_package_odd:thing\n")
    assert ["names no module" in problem for problem in load_registry().problems] == [True]


def test_loading_the_registry_imports_no_http_library():
    code = (
        "import sys; from flowforge.steps import load_registry; load_registry();"
        "print([name for name in ('httpx2', 'httpcore2', 'h11', 'anyio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


GOOD = '''
from flowforge.kit.values import JsonValue
from flowforge.operations import Nature, StrictModel, operation

class Nothing(StrictModel):
    """No parameters."""

@operation("NAME", title="T", category="test", icon="x", nature=Nature.PURE)
def do(parameters: Nothing) -> JsonValue:
    """Does."""
    return 1
'''
MIDDLEWARES = """
from flowforge.operations import Middleware

async def before(call):
    return None

second = Middleware("house.second", before)
first = Middleware("house.first", before, operations=("http.*",), priority=1)
wrong = Middleware("house.wrong")
"""
WRONG = GOOD.replace("NAME", "other.wrong").replace('    """Does."""\n', "")
