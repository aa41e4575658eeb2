import pytest

from flowforge.kit.bus.redis_urls import RedisAddress, RedisKind, is_redis_url, parse_redis_url
from flowforge.kit.errors import ValidationError

SERVER, SENTINEL, CLUSTER = RedisKind.SERVER, RedisKind.SENTINEL, RedisKind.CLUSTER


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", RedisAddress(SERVER, (("localhost", 6379),))),
        ("redis://:s3cret@cache:6380/2", RedisAddress(SERVER, (("cache", 6380),), database=2, password="s3cret")),
        (
            "rediss://ann:p%40ss@cache.example",
            RedisAddress(SERVER, (("cache.example", 6379),), is_tls=True, user="ann", password="p@ss"),
        ),
        ("redis://[::1]:7000/0", RedisAddress(SERVER, (("::1", 7000),))),
        (
            "redis+sentinel://pw:x@a:26379,b/mymaster/3?sentinel_password=k",
            RedisAddress(
                SENTINEL,
                (("a", 26379), ("b", 26379)),
                database=3,
                user="pw",
                password="x",
                service="mymaster",
                sentinel_password="k",
            ),
        ),
        ("sentinel://a:1/m;sentinel://b:2", RedisAddress(SENTINEL, (("a", 1), ("b", 2)), service="m")),
        ("rediss+cluster://a:7000,b:7001", RedisAddress(CLUSTER, (("a", 7000), ("b", 7001)), is_tls=True)),
    ],
)
def test_url_is_read(url: str, expected: RedisAddress):
    assert parse_redis_url(url) == expected


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://localhost", "scheme"),
        ("localhost:6379", "scheme"),
        ("redis://", "host"),
        ("redis://a,b", "several hosts"),
        ("redis://host:0", "port"),
        ("redis://host:99999", "port"),
        ("redis://host:6379x", "port"),
        ("redis://host/two", "database"),
        ("redis://host/0/1", "behind its hosts"),
        ("redis+cluster://host/1", "only the database 0"),
        ("redis+sentinel://host:26379", "Sentinels know the master"),
        ("redis://a b", "spaces"),
        ("redis://host?timeout=3", "timeout"),
        ("redis://:pa#ss@host", "#"),
        ("redis://:pa@ss@host", "%40"),
    ],
)
def test_bad_url_is_told_in_a_sentence_without_the_url(url: str, said: str):
    with pytest.raises(ValidationError) as caught:
        parse_redis_url(url, "BROKER_URL")
    assert said in caught.value.message
    assert caught.value.message.startswith("BROKER_URL ")
    assert caught.value.message.endswith(".")
    assert caught.value.details[0].field == "BROKER_URL"


def test_secrets_are_not_in_the_text_of_an_address():
    address = parse_redis_url("redis+sentinel://ann:s3cret@a:1,b:2/m?sentinel_password=k3y")
    assert "s3cret" not in repr(address)
    assert "k3y" not in repr(address)
    assert address.place == "a:1,b:2/m"


def test_redis_schemes_are_told_from_others():
    assert is_redis_url("rediss://x")
    assert is_redis_url("redis+sentinel://x/m")
    assert not is_redis_url("amqp://guest@x//")
    assert not is_redis_url("")
