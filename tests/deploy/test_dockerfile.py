"""deploy/Dockerfile: what it copies is there, what it installs is locked, and what it leaves behind can do little."""

import fnmatch
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence

import pytest
from tests.architecture.sources import REPOSITORY
from tests.deploy.reading import DEPLOY
from tests.support.servers import Reply, serve_in_thread

TEXT = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text("utf-8"))
LINES = [line for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]
IGNORED = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
INSTRUCTIONS = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"} | {
    "ENTRYPOINT",
    "CMD",
}


def list_arguments(instruction: str, lines: Sequence[str] = LINES) -> list[str]:
    return [line.partition(" ")[2].strip() for line in lines if line.partition(" ")[0] == instruction]


def list_last_stage() -> list[str]:
    begin = max(index for index, line in enumerate(LINES) if line.startswith("FROM "))
    return LINES[begin:]


def test_every_line_is_an_instruction():
    assert {line.partition(" ")[0] for line in LINES} == INSTRUCTIONS


def test_base_images_are_one_and_pinned():
    images = [argument.split(" AS ")[0] for argument in list_arguments("FROM")]
    assert len(images) == 2
    assert len(set(images)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", images[0])
    needed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert needed == ">=3.11"
    assert images[0].startswith("python:3.11.")


def test_what_is_copied_is_there_and_is_not_kept_out():
    sources = [word for argument in list_arguments("COPY") if "--from" not in argument for word in argument.split()[:-1]]
    assert len(sources) == 7
    for source in sources:
        assert (REPOSITORY / source).exists(), source
        assert f"!{source}" in IGNORED, source
    kept_in = {line[1:] for line in IGNORED if line.startswith("!")}
    assert kept_in == set(sources)
    assert IGNORED[1] == "*"


@pytest.mark.parametrize("name", ["src/flowforge/x.db", "src/flowforge/__pycache__/x.pyc"])
def test_data_and_leftovers_are_kept_out(name: str):
    patterns = [line.removeprefix("**/") for line in IGNORED if line.startswith("**/")]
    assert any(fnmatch.fnmatch(part, pattern) for part in name.split("/") for pattern in patterns)


def test_every_package_is_installed_by_hash_or_from_what_was_built():
    commands = [command for run in list_arguments("RUN") for command in re.split(r"&&", run)]
    installs = [command for command in commands if re.search(r"pip install|pip wheel", command)]
    assert len(installs) == 4
    for command in installs:
        is_locked = "--require-hashes -r requirements/" in command
        is_ours = "--no-deps" in command and ("--no-index" in command or "--no-build-isolation" in command)
        assert is_locked or is_ours, command
    assert not re.search(r"apt-get|curl|wget|ADD ", TEXT)


def test_lists_of_packages_have_a_hash_for_each():
    for name in ("build.txt", "runtime.txt"):
        entries = re.split(r"\n(?=\S)", (REPOSITORY / "requirements" / name).read_text("utf-8").strip())
        assert [entry.partition("==")[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_building_needs_only_what_is_locked_for_it():
    wanted = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    locked = (REPOSITORY / "requirements" / "build.txt").read_text("utf-8")
    assert all(re.search(rf"^{re.split('[>=<]', name)[0]}==", locked, re.MULTILINE) for name in wanted)


def test_process_runs_as_nobody_in_particular_and_can_be_stopped():
    stage = list_last_stage()
    assert list_arguments("USER", stage) == ["10001:10001"]
    assert list_arguments("STOPSIGNAL", stage) == ["SIGTERM"]
    assert list_arguments("ENTRYPOINT", stage) == ['["flowforge"]'], "the process itself gets the signal, no shell before it"
    assert list_arguments("VOLUME", stage) == ["/var/lib/flowforge"]
    (check,) = list_arguments("HEALTHCHECK", stage)
    assert 'CMD ["python", "/opt/flowforge/healthcheck.py", "/live"]' in check


def test_no_secret_goes_into_the_image():
    assert not re.search(r"ARG |PASSWORD|SECRET|TOKEN|ENCRYPTION_KEY|DATABASE_URL", TEXT)


def ask(port: int, page: str) -> subprocess.CompletedProcess[str]:
    environment = {"FLOWFORGE_HEALTH_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-S", str(DEPLOY / "healthcheck.py"), page]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)


def test_health_check_of_the_image_tells_ready_from_not_ready_and_from_gone():
    with serve_in_thread() as server:
        server.on("/ready", Reply(200))
        server.on("/live", Reply(503, (), b'{"reasons": {"database": "No answer."}}'))
        assert ask(server.port, "/ready").returncode == 0
        failed = ask(server.port, "/live")
        assert (failed.returncode, failed.stderr.strip()) == (1, '503: {"reasons": {"database": "No answer."}}')
        port = server.port
    gone = ask(port, "/ready")
    assert gone.returncode == 1
    assert "refused" in gone.stderr
