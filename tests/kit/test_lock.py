import subprocess
import sys
from pathlib import Path

import pytest

from flowforge.kit.lock import LockHeldError, acquire_lock, is_lock_held

HOLD = """
import sys
from pathlib import Path
from flowforge.kit.lock import acquire_lock
lock = acquire_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""

HOLD_AND_FORK = """
import os, sys
from pathlib import Path
from flowforge.kit.lock import acquire_lock
lock = acquire_lock(Path(sys.argv[1]))
if os.fork() == 0:
    print("forked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker-1.lock"


def test_lock_is_held_until_it_is_released(path: Path):
    assert not is_lock_held(path)
    with acquire_lock(path) as lock:
        assert is_lock_held(path)
        with pytest.raises(LockHeldError, match="held by another process"):
            acquire_lock(path)
    assert not is_lock_held(path)
    lock.release()
    acquire_lock(path).release()


def test_asking_does_not_take_the_lock_away(path: Path):
    with acquire_lock(path):
        assert is_lock_held(path)
        assert is_lock_held(path)
    with acquire_lock(path):
        assert is_lock_held(path)


def test_lock_is_free_at_once_when_its_process_is_killed(path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_lock_held(path)
        holder.kill()
        holder.wait(10)
        assert not is_lock_held(path)


def test_forked_child_does_not_hold_the_lock_on(path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_FORK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"forked\n"
        assert is_lock_held(path)
        holder.kill()
        holder.wait(10)
        # The child ends when its standard input is closed, which is after this.
        assert not is_lock_held(path)
        holder.stdin.close()
