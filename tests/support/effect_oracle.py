"""Decides, for every attempt of every step, what the world answers, and in which order answers arrive.

Both judges and the machine under test ask the same oracle, so that a race has one outcome. Nothing here depends on Python's hash seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from flowforge.kit.values import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Succeeds:
    """The attempt ends well, by `port`."""

    port: str = "done"


@dataclass(frozen=True, slots=True)
class Fails:
    """The attempt ends with this error. `retryable` is the operation's own view."""

    code: str
    retryable: bool = True


Outcome = Succeeds | Fails


@dataclass(frozen=True, slots=True)
class Oracle:
    """`script`: outcomes by step id, used in turn over attempts and iterations; a step without one succeeds.

    `order_seed` decides which of the attempts in flight ends first. `late`: ids of steps whose attempt ends well in spite of an abort.
    `jobs`: ids of steps whose attempts are handed to other workers; the world answers them as all others.
    `cancel_after`: the run is cancelled when so many outcomes have arrived (None: never).
    """

    script: Mapping[str, Sequence[Outcome]] = field(default_factory=dict[str, Sequence[Outcome]])
    order_seed: int = 0
    late: frozenset[str] = frozenset()
    cancel_after: int | None = None
    jobs: frozenset[str] = frozenset()

    def outcome(self, key: str, attempt: int) -> Outcome:
        """What the attempt `attempt` (from 1) of the step `key` ends with."""
        script = self.script.get(step_id(key))
        if not script:
            return Succeeds()
        return script[(attempt - 1 + sum(iterations(key))) % len(script)]

    def rank(self, key: str, attempt: int) -> bytes:
        """Of several attempts in flight the one with the least rank ends first."""
        return blake2b(f"{self.order_seed}:{key}:{attempt}".encode(), digest_size=8).digest()

    def is_late(self, key: str, attempt: int) -> bool:
        """The attempt ends well though it was aborted."""
        return step_id(key) in self.late and isinstance(self.outcome(key, attempt), Succeeds)


def output_of(key: str, parameters: JsonValue) -> JsonObject:
    """What a successful attempt of the test operations gives back: who it is, and what it was handed."""
    return {"of": key, "got": parameters}


def step_id(key: str) -> str:
    """`~undo/items.3/fetch` is `fetch`'s."""
    return key.rsplit("/", 1)[-1]


def iterations(key: str) -> list[int]:
    """The indices on the path of a key: `items.3/pages.0/fetch` → [3, 0]."""
    return [int(part.rsplit(".", 1)[1]) for part in key.split("/")[:-1] if "." in part]
