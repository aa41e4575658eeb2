from uuid import RFC_4122, UUID

import pytest
from tests.support.attempts import Attempts

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Nature, Operation
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.steps.id.short import make as make_short
from flowforge.steps.id.ulid import make as make_ulid
from flowforge.steps.id.uuid import make as make_uuid

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


async def make_many(operation: Operation, **parameters: JsonValue) -> list[str]:
    made = await Attempts({}).call(operation, {"count": 500, **parameters})
    made = made["id"] if isinstance(made, dict) else made
    assert isinstance(made, list)
    texts = [text for text in made if isinstance(text, str)]
    assert len(set(texts)) == 500
    return texts


def test_ids_are_effects_so_that_a_replay_sees_them_again():
    assert {operation.nature for operation in (make_uuid, make_ulid, make_short)} == {Nature.EFFECT}


@pytest.mark.parametrize("version", [4, 7])
async def test_uuids_are_of_their_version(version: int):
    made = [UUID(text) for text in await make_many(make_uuid, version=version)]
    assert {(uuid.version, uuid.variant) for uuid in made} == {(version, RFC_4122)}
    if version == 7:
        assert made == sorted(made)


async def test_uuids_are_written_in_several_ways():
    for form, length in (("plain", 36), ("hex", 32), ("urn", 45), ("upper", 36)):
        made = await Attempts({}).call(make_uuid, {"form": form})
        assert isinstance(made, str)
        assert len(made) == length
        assert UUID(made)
        assert (made == made.upper()) is (form == "upper")


async def test_ulids_have_the_time_and_sort():
    made = await make_many(make_ulid)
    assert made == sorted(made)
    assert all(len(text) == 26 and set(text) <= set(CROCKFORD) for text in made)
    moment_ms = 0
    for character in made[0][:10]:
        moment_ms = moment_ms * 32 + CROCKFORD.index(character)
    assert moment_ms == Attempts({}).now_ms


async def test_short_ids_can_be_read_out():
    for text in await make_many(make_short, prefix="ORD-", length=8, group=4):
        head, first, second = text.split("-")
        assert (head, len(first), len(second)) == ("ORD", 4, 4)
        assert set(first + second) <= set(CROCKFORD)
    lower = await make_many(make_short, upper=False)
    assert all(text == text.lower() and len(text) == 10 for text in lower)


async def test_a_check_character_tells_one_wrong_character():
    def is_right(text: str) -> bool:
        value = 0
        for character in text[:-1]:
            value = value * 32 + CROCKFORD.index(character)
        return (CROCKFORD + "*~$=U")[value % 37] == text[-1]

    made = (await make_many(make_short, length=6, check=True))[0]
    assert is_right(made)
    wrong = [made[:place] + other + made[place + 1 :] for place in range(6) for other in CROCKFORD if other != made[place]]
    assert not any(map(is_right, wrong))


async def test_it_is_told_how_many_are_safe():
    told = await Attempts({}).call(make_short, {"length": 8})
    assert isinstance(told, dict)
    assert told["safe_count"] == 1482
    told = await Attempts({}).call(make_short, {"length": 64})
    assert isinstance(told, dict)
    assert told["safe_count"] == 2**53


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [(make_uuid, {"version": 1}), (make_ulid, {"count": 0}), (make_short, {"length": 3}), (make_short, {"group": 1})],
)
def test_parameters_that_cannot_be_are_refused(operation: Operation, parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(operation, parameters)
