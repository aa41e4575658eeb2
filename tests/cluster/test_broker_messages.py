"""What is read from a broker, and which URLs name one."""

import importlib.util
from importlib.machinery import ModuleSpec

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.brokers import broker_url
from tests.support.own_servers import find_free_port

from flowforge.cluster.messages import (
    RING_TASK,
    Refusal,
    Ring,
    check_broker_url,
    describe_unreadable,
    make_celery,
    make_queue,
    probe_broker,
    read_ring,
)
from flowforge.kit.errors import ValidationError

HEADERS = {"task": RING_TASK}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def test_what_celery_sends_is_read():
    assert read_ring("application/json", HEADERS, b'[[7, 2], {}, {"callbacks": null}]') == Ring(7, 2)
    assert read_ring("application/json", HEADERS, "[[7, 0], {}, {}]") == Ring(7, 0)
    assert read_ring("application/json", HEADERS, b"[[0, 0], {}, {}]") == Ring(0, 0)
    assert read_ring("application/json", HEADERS, memoryview(b"[[7, 0], {}, {}]")) == Ring(7, 0)


@given(st.none() | st.text() | st.integers(), st.none() | json_values, st.binary() | st.text() | st.none())
def test_anything_is_read_or_refused(content_type: object, headers: object, body: object):
    found = read_ring(content_type, headers, body)
    assert isinstance(found, Refusal)
    assert found.excerpt.isprintable()
    assert len(found.excerpt.encode()) <= 1_024
    assert len(found.reason) <= 400


@given(json_values)
def test_json_of_any_shape_is_a_ring_or_refused(value: object):
    import json

    found = read_ring("application/json", HEADERS, json.dumps(value).encode())
    assert isinstance(found, Refusal | Ring)


def test_a_long_control_sequence_is_shown_as_text_of_a_kibibyte():
    refusal = describe_unreadable(ValueError("\x1b[2J" * 2_000))
    assert refusal.excerpt.startswith("\\x1b[2J")
    assert len(refusal.excerpt) <= 1_024


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "rediss://user:pass@redis.example:6380/1",
        "sentinel://one:26379/0?master_name=orders;sentinel://two:26379/0",
        "amqp://guest:guest@127.0.0.1:5672//",
        "amqps://rabbit.example/vhost",
    ],
)
def test_urls_of_brokers_make_an_application(url: str):
    app = make_celery(url)
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_backend is None
    assert list(app.tasks) != []
    assert RING_TASK in app.tasks


def test_a_sentinel_gets_the_name_of_its_master():
    options = make_celery("sentinel://one:26379/0?master_name=orders").conf.broker_transport_options
    assert options["master_name"] == "orders"


@pytest.mark.parametrize(
    "url", ["", "redis", "redis://", "http://host", "memory://", "redis://host:port/0", "redis+cluster://host", "amqp://:secret@"]
)
def test_other_urls_are_refused_without_being_shown(url: str):
    with pytest.raises(ValidationError, match="FLOWFORGE_BROKER_URL is no address of a broker") as refused:
        check_broker_url(url)
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("missing", ["celery", "redis"])
def test_a_missing_extra_is_told_with_the_command_that_installs_it(missing: str, monkeypatch: pytest.MonkeyPatch):
    def find(name: str) -> ModuleSpec | None:
        return None if name == missing else importlib.util.find_spec(name)

    monkeypatch.setattr("flowforge.cluster.messages.find_spec", find)
    with pytest.raises(ValidationError, match=r"pip install 'flowforge\[celery\]'"):
        check_broker_url("redis://127.0.0.1:6379/0")


def test_a_queue_on_rabbitmq_is_bounded_and_goes_when_nobody_uses_it():
    queue = make_queue("heavy")
    assert queue.name == queue.routing_key == "flowforge.heavy"
    assert queue.durable
    assert queue.queue_arguments == {"x-max-length": 1_000, "x-message-ttl": 60_000, "x-expires": 3_600_000}


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_a_broker_is_asked_whether_it_is_there(kind: str):
    assert probe_broker(broker_url(kind)) is None
    scheme = "redis" if kind == "redis" else "amqp"
    assert "refused" in str(probe_broker(f"{scheme}://127.0.0.1:{find_free_port()}/0"))


def test_wrong_passwords_are_told_without_the_password():
    trouble = (
        probe_broker("redis://nobody:very-secret@127.0.0.1:6379/0") if broker_url("redis").endswith(":6379/0") else "password"
    )
    assert trouble
    assert "very-secret" not in trouble
