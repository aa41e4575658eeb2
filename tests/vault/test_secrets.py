import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.database.session import Database
from flowforge.kit.keyring import Keyring, Place
from flowforge.vault import repository, service
from flowforge.vault.errors import (
    KeysForeignError,
    SecretHostMismatchError,
    SecretMissingError,
    SecretUnreadableError,
    VaultInputError,
)
from flowforge.vault.models import SecretRow

HERE, THERE = "ws_" + "0" * 26, "ws_" + "1" * 26
OLD_KEY, NEW_KEY = bytes(range(32)), bytes(range(1, 33))
RING = Keyring(OLD_KEY)


class Killed(BaseException):
    """Stands for kill -9: nothing may catch it."""


async def put(session: AsyncSession, name: str, value: str = "canary-1", *hosts: str, workspace_id: str = HERE) -> None:
    await service.set_secret(session, RING, workspace_id, name, value=value, hosts=hosts, at_ms=1_000)


async def test_secret_is_set_listed_and_resolved(session: AsyncSession):
    await put(session, "B_TOKEN", "canary-1", "Api.example.com")
    await put(session, "A_TOKEN", "canary-2")
    listed = await service.list_secrets(session, HERE)
    assert [(one.name, one.hosts, one.version, one.updated_at_ms) for one in listed] == [
        ("A_TOKEN", (), 1, 1_000),
        ("B_TOKEN", ("api.example.com",), 1, 1_000),
    ]
    assert "canary" not in repr(listed)
    found = await service.resolve_secrets(session, RING, HERE, ["B_TOKEN", "A_TOKEN", "B_TOKEN"])
    assert {name: secret.value for name, secret in found.items()} == {"A_TOKEN": "canary-2", "B_TOKEN": "canary-1"}


async def test_new_value_replaces_value_and_hosts(session: AsyncSession):
    await put(session, "TOKEN", "canary-1", "a.example")
    changed = await service.set_secret(session, RING, HERE, "TOKEN", value="ünï-2", at_ms=2_000)
    assert (changed.version, changed.updated_at_ms, changed.hosts) == (2, 2_000, ())
    assert (await service.resolve_secrets(session, RING, HERE, ["TOKEN"]))["TOKEN"].value == "ünï-2"


async def test_value_is_not_in_the_database_file(database: Database):
    async with database.write() as session:
        await put(session, "TOKEN", "canary-in-clear")
        await session.commit()
        row = (await session.scalars(select(SecretRow))).one()
    assert b"canary" not in row.sealed
    assert row.key_id == RING.current_key_id


async def test_every_missing_secret_is_named(session: AsyncSession):
    await put(session, "SET")
    with pytest.raises(SecretMissingError) as caught:
        await service.resolve_secrets(session, RING, HERE, ["GONE", "SET", "LOST"])
    assert caught.value.code == "secret_missing"
    assert [detail.field for detail in caught.value.details] == ["secrets.GONE", "secrets.LOST"]


async def test_a10_secret_of_another_workspace_is_as_one_that_does_not_exist(session: AsyncSession):
    await put(session, "TOKEN", workspace_id=THERE)
    with pytest.raises(SecretMissingError) as foreign:
        await service.resolve_secrets(session, RING, HERE, ["TOKEN"])
    with pytest.raises(SecretMissingError) as unknown:
        await service.resolve_secrets(session, RING, "ws_" + "2" * 26, ["TOKEN"])
    assert foreign.value.message == unknown.value.message
    assert await service.list_secrets(session, HERE) == []
    with pytest.raises(SecretMissingError):
        await service.delete_secret(session, HERE, "TOKEN")


async def test_deleted_secret_is_gone_and_can_be_set_anew(session: AsyncSession):
    await put(session, "TOKEN")
    await service.delete_secret(session, HERE, "TOKEN")
    with pytest.raises(SecretMissingError):
        await service.resolve_secrets(session, RING, HERE, ["TOKEN"])
    await put(session, "TOKEN", "canary-2")
    assert (await service.list_secrets(session, HERE))[0].version == 1


@pytest.mark.parametrize("name", ["", "lower", "1TOKEN", "TO-KEN", "TOKEN ", "Ä", "A" * 64, "TOKEN\n"])
async def test_bad_name_is_refused(session: AsyncSession, name: str):
    with pytest.raises(VaultInputError) as caught:
        await put(session, name)
    assert caught.value.details[0].code == "name_invalid"


@pytest.mark.parametrize("value", ["", "x" * (64 * 1024 + 1), "\ud800"])
async def test_bad_value_is_refused_and_not_shown(session: AsyncSession, value: str):
    with pytest.raises(VaultInputError) as caught:
        await put(session, "TOKEN", value)
    assert caught.value.details[0].code == "value_invalid"
    assert "xxx" not in caught.value.message


async def test_tok_43_ciphertext_moved_to_another_row_does_not_open(session: AsyncSession, caplog: pytest.LogCaptureFixture):
    await put(session, "MINE", "canary-1")
    await put(session, "THEIRS", "canary-2", workspace_id=THERE)
    stolen = (await session.scalars(select(SecretRow.sealed).where(SecretRow.name == "THEIRS"))).one()
    await session.execute(update(SecretRow).where(SecretRow.name == "MINE").values(sealed=stolen))
    session.expire_all()
    with pytest.raises(SecretUnreadableError) as caught:
        await service.resolve_secrets(session, RING, HERE, ["MINE"])
    assert caught.value.code == "secret_unreadable"
    assert "canary" not in caught.value.message
    assert "A secret does not open" in caplog.text


async def test_tok_43_row_moved_to_another_workspace_does_not_open(session: AsyncSession):
    await put(session, "TOKEN", workspace_id=THERE)
    await session.execute(update(SecretRow).values(workspace_id=HERE))
    session.expire_all()
    with pytest.raises(SecretUnreadableError):
        await service.resolve_secrets(session, RING, HERE, ["TOKEN"])


async def test_tok_44_secret_of_a_retired_key_is_a_typed_error(session: AsyncSession):
    await put(session, "TOKEN")
    with pytest.raises(SecretUnreadableError) as caught:
        await service.resolve_secrets(session, Keyring(NEW_KEY), HERE, ["TOKEN"])
    assert caught.value.details[0].field == "secrets.TOKEN"


@pytest.mark.parametrize("killed_after", range(1, 11))
async def test_f75_rotation_killed_at_any_row_is_completed_by_the_next(
    database: Database, killed_after: int, monkeypatch: pytest.MonkeyPatch
):
    # Small batches, so that ten rows fill two and a half of them.
    monkeypatch.setattr(service, "REENCRYPT_BATCH_ROWS", 4)
    ring = Keyring(NEW_KEY, (OLD_KEY,))
    names = [f"TOKEN_{number}" for number in range(10)]
    async with database.write() as session:
        for name in names:
            await put(session, name, f"value of {name}")
        await session.commit()
    rows_done = 0

    def kill(point: str) -> None:
        nonlocal rows_done
        rows_done += point == "CP25"
        if rows_done == killed_after:
            raise Killed

    with crash_hook(kill), pytest.raises(Killed):
        async with database.write() as session:
            await service.reencrypt_secrets(session, ring)
    async with database.write() as session:
        between = await service.resolve_secrets(session, ring, HERE, names)
        assert {secret.value for secret in between.values()} == {f"value of {name}" for name in names}
        assert (await service.reencrypt_secrets(session, ring)).unreadable == ()
    async with database.read() as session:
        alone = await service.resolve_secrets(session, Keyring(NEW_KEY), HERE, names)
        old_rows = await session.scalar(select(func.count()).where(SecretRow.key_id != ring.current_key_id))
    assert (len(alone), old_rows) == (10, 0)


async def test_keys_that_open_none_of_the_secrets_are_refused(session: AsyncSession):
    await service.require_keys(session, Keyring(NEW_KEY))
    await put(session, "FINE")
    await service.require_keys(session, Keyring(NEW_KEY, (OLD_KEY,)))
    with pytest.raises(KeysForeignError, match="none of the 1 secrets"):
        await service.require_keys(session, Keyring(NEW_KEY))


async def test_f75_row_that_no_key_opens_is_named_and_kept(session: AsyncSession):
    await put(session, "FINE")
    await put(session, "BROKEN")
    await session.execute(update(SecretRow).where(SecretRow.name == "BROKEN").values(sealed=b"x" * 40))
    session.expire_all()
    outcome = await service.reencrypt_secrets(session, Keyring(NEW_KEY, (OLD_KEY,)))
    assert (outcome.changed, outcome.unreadable) == (1, ("BROKEN",))
    assert len(await service.list_secrets(session, HERE)) == 2


async def test_f75_value_set_while_its_row_is_rewritten_is_kept(database: Database):
    ring = Keyring(NEW_KEY, (OLD_KEY,))
    async with database.write() as session:
        await put(session, "TOKEN", "canary-1")
        await session.commit()
    async with database.read() as slow:
        stale = (await slow.scalars(select(SecretRow))).one()
        slow.expunge(stale)
        await slow.rollback()
        async with database.write() as session:
            await service.set_secret(session, RING, HERE, "TOKEN", value="canary-2", at_ms=2_000)
            await session.commit()
        place = Place(SecretRow.__tablename__, stale.id, HERE)
        assert not await repository.replace_sealed(slow, stale, ring.seal(b"canary-1", place))
    async with database.read() as session:
        assert (await service.resolve_secrets(session, ring, HERE, ["TOKEN"]))["TOKEN"].value == "canary-2"


async def test_a_secret_is_given_to_the_hosts_that_it_is_bound_to(database: Database):
    async with database.write() as session:
        await put(session, "TOKEN", "canary-1", "a.example")
        await session.commit()
    async with database.read() as session:
        secret = (await service.resolve_secrets(session, RING, HERE, ["TOKEN"]))["TOKEN"]
        with pytest.raises(SecretMissingError):
            await service.resolve_secrets(session, RING, HERE, ["NONE"])
    service.check_host(secret, "a.example:443")
    assert secret.value == "canary-1"
    with pytest.raises(SecretHostMismatchError):
        service.check_host(secret, "b.example")
