"""Proof of life while the database hangs: it neither answers nor refuses."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab
from tests.support.moody import MoodyStore
from tests.support.soundness import assert_sound

from flowforge.engine.store import Store

EFFECT = "- {id: a, uses: test.record, with: {name: a}}\n"


class Snag:
    """Holds those who call one of these methods until it is freed."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._free = threading.Event()
        self.is_hanging = threading.Event()

    def __call__(self, name: str) -> None:
        if name in self._names:
            self.is_hanging.set()
            assert self._free.wait(20)

    def free(self) -> None:
        self._free.set()


@pytest.fixture
async def moody(tmp_path: Path) -> AsyncIterator[tuple[Lab, MoodyStore]]:
    lab = Lab(tmp_path)
    store = MoodyStore(lab.store)
    lab.store = cast("Store", store)
    lab.engine = lab.make_engine()
    await lab.engine.open()
    yield lab, store
    store.calm()
    await lab.close()
    assert_sound(lab)


async def test_f12_effects_stop_when_no_beat_arrives_though_none_fails(moody: tuple[Lab, MoodyStore]):
    lab, store = moody
    gate = lab.book.gate("a")
    started = await lab.start(make_document(EFFECT))
    await lab.until(lambda: lab.engine.attempts.in_flight == 1)
    number = lab.engine.worker
    snag = Snag("beat")
    store.before = snag
    await lab.until(lambda: lab.engine.attempts.in_flight == 0)

    gate.set()
    store.calm()
    snag.free()

    assert (await lab.finish(started)).status == "completed"
    assert lab.engine.worker != number
    assert lab.book.names() == ["a", "a"]
    assert len(lab.book.keys_of("a")) == 1


async def test_f12_calls_that_hang_are_ended_when_no_beat_arrives(moody: tuple[Lab, MoodyStore]):
    lab, store = moody
    snag = Snag("beat")
    called: list[str] = []
    store.before, store.after = snag, called.append
    await lab.until(lambda: "interrupt" in called)
    store.calm()
    snag.free()

    assert (await lab.run(make_document(EFFECT))).status == "completed"


async def test_sweep_that_waits_holds_no_beat_up(moody: tuple[Lab, MoodyStore]):
    lab, store = moody
    number = lab.engine.worker
    snag = Snag("expire")
    store.before = snag
    assert await asyncio.to_thread(snag.is_hanging.wait, 10)
    beats: list[str] = []
    store.after = beats.append
    await lab.until(lambda: beats.count("beat") > lab.settings.expiry_ms // lab.settings.beat_ms)
    snag.free()

    assert lab.engine.worker == number
    assert lab.store.alive() == {number: "lab"}


async def test_beat_that_comes_back_late_declares_nobody_dead_who_came_after(moody: tuple[Lab, MoodyStore]):
    lab, _ = moody
    number = lab.engine.worker
    lab.store.expire([number])
    for _ in range(2):
        lab.engine.pulse.beat()  # in the loop itself: both tell it of the old number before it has another
    await lab.until(lambda: lab.engine.worker != number)
    successor = lab.engine.worker

    assert (await lab.run(make_document(EFFECT))).status == "completed"
    assert lab.engine.worker == successor
