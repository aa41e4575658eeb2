import threading
import uuid

import pytest
from tests.support.clock import ManualClock

from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, IdSource, InvalidIdError, is_id, make_id, parse_id

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def decode(encoded: str) -> uuid.UUID:
    number = 0
    for char in encoded:
        number = number * 32 + ALPHABET.index(char)
    return uuid.UUID(int=number)


def test_id_holds_a_uuid_of_version_7_with_the_time():
    clock = ManualClock(now_ms=1_750_000_000_123)
    made = IdSource(clock).make_id("run")
    inside = decode(made.removeprefix("run_"))
    assert (inside.version, inside.variant) == (7, uuid.RFC_4122)
    assert inside.int >> 80 == 1_750_000_000_123
    assert len(made) == 4 + 26


def test_ids_grow_within_a_millisecond_and_when_the_clock_goes_back():
    clock = ManualClock()
    source = IdSource(clock)
    made = [source.make_id("run") for _ in range(500)]
    clock.set_wall(clock.now_ms() - 60_000)
    made += [source.make_id("run") for _ in range(500)]
    clock.advance(120_000)
    made.append(source.make_id("run"))
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_grow_when_the_random_part_overflows():
    source = IdSource(ManualClock(), random_bits=lambda bits: (1 << bits) - 1)
    made = [source.make_id("run") for _ in range(50)]
    assert made == sorted(set(made))


def test_ids_of_several_threads_are_unique():
    source = IdSource(ManualClock())
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend(source.make_id("run") for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2_000


@pytest.mark.parametrize(
    "text", ["", "run", "run_", "wf_" + "0" * 26, "run_" + "0" * 25, "run_" + "8" + "0" * 25, "run_" + "u" * 26]
)
def test_text_that_is_no_id_of_the_kind_is_refused(text: str):
    with pytest.raises(InvalidIdError) as caught:
        parse_id(text, "run")
    assert caught.value.details[0].code == "id_invalid"
    assert not is_id(text, "run")


@pytest.mark.parametrize("template", ["{upper}", "{id}\n", " {id}", "{id}0", "{id}é"])
def test_id_is_refused_when_it_is_not_exactly_itself(template: str):
    made = make_id("run")
    assert not is_id(template.format(id=made, upper=made.upper()), "run")


def test_made_id_is_parsed():
    made = make_id("wf")
    assert parse_id(made, "wf") == made
    assert parse_id(DEFAULT_WORKSPACE_ID, "ws") == DEFAULT_WORKSPACE_ID
