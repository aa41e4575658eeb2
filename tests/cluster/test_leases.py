import asyncio

from tests.cluster.places import Place

from flowforge.cluster.leases import Candidate
from flowforge.engine.tables import leases

LENGTH_MS = 10_000


def stand(place: Place) -> Candidate:
    return Candidate(place.sessions.write, place.clock, name="scheduler", length_ms=LENGTH_MS)


async def test_one_of_many_is_elected_and_stays_so(place: Place):
    candidates = [stand(place) for _ in range(5)]
    asked = await asyncio.gather(*(candidate.ask(number) for number, candidate in enumerate(candidates, 1)))
    assert sum(asked) == 1
    for _ in range(4):
        place.clock.advance(LENGTH_MS // 2)
        again = await asyncio.gather(*(candidate.ask(number) for number, candidate in enumerate(candidates, 1)))
        assert again == asked
    (row,) = await place.rows(leases)
    assert row["holder"] == asked.index(True) + 1
    assert row["epoch"] == 1
    assert row["expires_at"] == place.clock.now_ms() + LENGTH_MS


async def test_lease_of_a_silent_holder_goes_to_one_of_the_others_under_a_new_epoch(place: Place):
    first, others = stand(place), [stand(place) for _ in range(4)]
    assert await first.ask(1)
    place.clock.advance(LENGTH_MS - 1)
    assert not any([await other.ask(number) for number, other in enumerate(others, 2)])
    place.clock.advance(1)
    assert first.epoch is None
    asked = await asyncio.gather(*(other.ask(number) for number, other in enumerate(others, 2)))
    assert sum(asked) == 1
    (row,) = await place.rows(leases)
    assert (row["holder"], row["epoch"]) == (asked.index(True) + 2, 2)
    assert not await first.ask(1)
    place.clock.advance(LENGTH_MS)
    assert await first.ask(1)
    assert first.epoch == 3


async def test_lease_that_is_given_back_is_free_at_once(place: Place):
    first, second = stand(place), stand(place)
    assert await first.ask(1)
    assert not await second.ask(2)
    await second.release()
    assert not await second.ask(2)
    await first.release()
    assert first.epoch is None
    assert await second.ask(2)
    assert second.epoch == 2
    await first.release()
    assert await second.ask(2)


async def test_lease_that_ran_out_and_that_nobody_took_is_renewed(place: Place):
    candidate = stand(place)
    assert await candidate.ask(1)
    place.clock.advance(3 * LENGTH_MS)
    assert candidate.epoch is None
    assert await candidate.ask(1)
    assert candidate.epoch == 1


async def test_candidate_under_another_number_is_another_candidate(place: Place):
    candidate = stand(place)
    assert await candidate.ask(1)
    assert not await candidate.ask(2)
    place.clock.advance(LENGTH_MS)
    assert await candidate.ask(2)
    assert candidate.epoch == 2
