"""What FlowForge says over Celery: one task, `flowforge.ring(run_no, epoch)`, which tells a worker to look.

A ring carries no work: the database knows what there is to do. So messages are transient, expire after a minute, are acknowledged on
arrival, have no result and never a time to wait for; a queue that nobody reads holds a bounded number of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

from flowforge.kit.errors import ValidationError
from flowforge.kit.ids import make_uuid
from flowforge.kit.masking import cut_excerpt

RING_TASK: Final = "flowforge.ring"
QUEUE_PREFIX: Final = "flowforge."
RING_TTL_S: Final = 60
"""A ring that nobody heard for that long tells nothing: every worker has looked by itself since."""
RINGS_WAITING_MAX: Final = 1_000
"""Of one queue on RabbitMQ, which drops the oldest beyond it."""
BODY_MAX_BYTES: Final = 4_096

_IDLE_QUEUE_MS: Final = 3_600_000
_CONNECT_S: Final = 2.0
_ANSWER_S: Final = 5.0
_CONSUMER_HEARTBEAT_S: Final = 10
_REDIS_SCHEMES: Final = frozenset({"redis", "rediss", "sentinel"})
_AMQP_SCHEMES: Final = frozenset({"amqp", "amqps"})
_NUMBER_MAX: Final = 2**63 - 1
_MISSING: Final = (
    "FLOWFORGE_BROKER_URL is set, but Celery is not installed here: pip install 'flowforge[celery]'. "
    "Or unset it: workers then look for work each FLOWFORGE_POLL."
)


@dataclass(frozen=True, slots=True)
class Ring:
    """What a message of ours says: this run may need a worker; 0: some run may. Both numbers are hints."""

    run_no: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is none of ours, and the beginning of it, as printable text."""

    reason: str
    excerpt: str


def check_broker_url(url: str) -> str:
    """The scheme of a broker's URL, for which what it takes is installed. Imports nothing.

    Raises:
        ValidationError: it names no broker that FlowForge can use, or Celery (or its client for Redis) is not installed. The message does
            not show the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url.split(";", maxsplit=1)[0])
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, is_whole = None, False
    if parts is None or parts.scheme not in _REDIS_SCHEMES | _AMQP_SCHEMES or not is_whole:
        raise ValidationError(
            "FLOWFORGE_BROKER_URL is no address of a broker: redis://host:6379/0, rediss://…, "
            "sentinel://host:26379/0?master_name=mymaster, amqp://user:password@host:5672/vhost or amqps://…."
        )
    # Celery alone does not check for Redis' client, and would only fail at the first message.
    needed = ("celery", "redis") if parts.scheme in _REDIS_SCHEMES else ("celery",)
    if any(find_spec(name) is None for name in needed):
        raise ValidationError(_MISSING)
    return parts.scheme


def make_celery(broker_url: str) -> Any:
    """The Celery application on this broker. Nothing is connected yet.

    Raises:
        ValidationError: as `check_broker_url`.
    """
    scheme = check_broker_url(broker_url)
    # An extra: only a cluster needs it.
    celery: Any = import_module("celery")
    app = celery.Celery("flowforge", broker=broker_url, set_as_current=False, fixups=[])
    app.conf.update(_configure(scheme, broker_url))
    app.task(name=RING_TASK, ignore_result=True, shared=False, typing=False)(_ring)
    return app


def _ring(run_no: int, epoch: int) -> Ring:
    """The task itself. It does nothing here: whoever hears it pokes its engine."""
    return Ring(run_no, epoch)


def _configure(scheme: str, broker_url: str) -> dict[str, object]:
    return {
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_ignore_result": True,
        "result_backend": None,
        "task_acks_late": False,
        "task_default_delivery_mode": "transient",
        "task_publish_retry": False,
        "task_create_missing_queues": False,
        "task_send_sent_event": False,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_prefetch_multiplier": 1,
        "broker_pool_limit": 0,
        "broker_connection_timeout": _CONNECT_S,
        "broker_failover_strategy": "shuffle",
        "broker_transport_options": _list_transport_options(scheme, broker_url),
        "broker_use_ssl": None,
    }


def _list_transport_options(scheme: str, broker_url: str) -> dict[str, object]:
    if scheme in _AMQP_SCHEMES:
        return {"write_timeout": _ANSWER_S, "confirm_publish": False}
    options: dict[str, object] = {
        "socket_connect_timeout": _CONNECT_S,
        "socket_timeout": _ANSWER_S,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "priority_steps": [0],
    }
    if scheme == "sentinel":
        query = dict(parse_qsl(urlsplit(broker_url.split(";", maxsplit=1)[0]).query))
        options["master_name"] = query.get("master_name", "mymaster")
    return options


def make_queue(queue: str) -> Any:
    """The Celery queue of a FlowForge queue. RabbitMQ refuses a declaration that differs: its arguments may never change.

    It is reached by the default exchange: no binding is stored that an emptied broker could lose.
    """
    # Celery is an extra, and who makes queues has made an application.
    kombu: Any = import_module("kombu")
    name = QUEUE_PREFIX + queue
    return kombu.Queue(
        name,
        kombu.Exchange("", type="direct"),
        routing_key=name,
        durable=True,
        queue_arguments={
            "x-max-length": RINGS_WAITING_MAX,
            "x-message-ttl": RING_TTL_S * 1_000,
            "x-expires": _IDLE_QUEUE_MS,
        },
    )


def connect_to_write(app: Any) -> Any:
    """A connection for rings that go out, without heartbeats, which nobody would send while there is nothing to say.

    Raises:
        OSError and errors of the transport (`kombu.exceptions.OperationalError`): the broker cannot be reached.
    """
    return _connect(app.connection_for_write(heartbeat=0))


def connect_to_read(app: Any) -> Any:
    """A connection for rings that come in. Raises as `connect_to_write`."""
    return _connect(app.connection_for_read(heartbeat=_CONSUMER_HEARTBEAT_S))


def _connect(connection: Any) -> Any:
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, interval_max=0)
    except BaseException:
        connection.release()
        raise
    return connection


def publish_ring(app: Any, producer: Any, queue: str, ring: Ring) -> None:
    """Sends a ring as Celery sends tasks. Waits for no confirmation.

    Raises:
        Errors of the transport: the broker is gone.
    """
    task_id = f"{make_uuid():032x}"
    message = app.amqp.as_task_v2(
        task_id, RING_TASK, args=(ring.run_no, ring.epoch), expires=RING_TTL_S, ignore_result=True, origin="flowforge"
    )
    app.amqp.send_task_message(
        producer,
        RING_TASK,
        message,
        queue=make_queue(queue),
        declare=[],
        retry=False,
        serializer="json",
        delivery_mode="transient",
        expiration=RING_TTL_S,
    )


def read_ring(content_type: object, headers: object, body: object) -> Ring | Refusal:
    """Reads a message from the broker, of which everything may be wrong. Never raises, never runs or unpacks anything.

    Only JSON in Celery's second protocol, with the name of our task and two numbers, is a ring.
    """
    data = _to_bytes(body)
    if content_type != "application/json":
        return Refusal(f"its content type is {_shorten(content_type)}, not application/json", _excerpt(data))
    known: Mapping[object, object] = cast("Mapping[object, object]", headers) if isinstance(headers, Mapping) else {}
    if known.get("task") != RING_TASK:
        return Refusal(f"it names the task {_shorten(known.get('task'))}, not {RING_TASK}", _excerpt(data))
    if len(data) > BODY_MAX_BYTES:
        return Refusal(f"its body has {len(data)} bytes, more than {BODY_MAX_BYTES}", _excerpt(data))
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return Refusal("its body is no JSON", _excerpt(data))
    ring = _read_arguments(value)
    return ring if ring is not None else Refusal("its arguments are not two numbers, run and epoch", _excerpt(data))


def _read_arguments(value: object) -> Ring | None:
    parts = cast("list[object]", value) if isinstance(value, list) else []
    arguments = cast("list[object]", parts[0]) if parts and isinstance(parts[0], list) else []
    if len(parts) != 3 or parts[1] not in ({}, None) or len(arguments) != 2:
        return None
    run_no, epoch = arguments
    if not isinstance(run_no, int) or not isinstance(epoch, int) or isinstance(run_no, bool) or isinstance(epoch, bool):
        return None
    if not 0 <= run_no <= _NUMBER_MAX or not 0 <= epoch <= _NUMBER_MAX:
        return None
    return Ring(run_no, epoch)


def describe_unreadable(fault: Exception) -> Refusal:
    """A message of which the transport could not even read the envelope."""
    text = fault.doc if isinstance(fault, json.JSONDecodeError) else str(fault)
    return Refusal("it is no message of Celery", _excerpt(text.encode("utf-8", "replace")))


def _to_bytes(body: object) -> bytes:
    if isinstance(body, str):
        return body.encode("utf-8", "replace")
    return bytes(cast("bytes", body)) if isinstance(body, bytes | bytearray | memoryview) else b""


def _excerpt(data: bytes) -> str:
    text = data[:1_024].decode("utf-8", "replace")
    return cut_excerpt("".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text))


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def probe_broker(broker_url: str) -> str | None:
    """Asks the broker whether it is there, which may take some seconds; why it is not, None where it is.

    Raises:
        ValidationError: as `check_broker_url`.
    """
    app = make_celery(broker_url)
    # An extra, which is there: the application was made.
    kombu: Any = import_module("kombu.exceptions")
    try:
        with connect_to_write(app) as connection:
            connection.channel().close()
    except (OSError, kombu.KombuError, *_list_faults(app)) as fault:
        return str(fault) or type(fault).__name__
    return None


def _list_faults(app: Any) -> tuple[type[Exception], ...]:
    connection = app.connection_for_write()
    return (*connection.connection_errors, *connection.channel_errors)
