"""What a judge says about a run: the fate of each step and of the whole, and the rule of retries."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.effect_oracle import Fails

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Backoff, Call, Retry, Step

NEVER_RETRIED = frozenset({"outcome_unknown", "fatal", "validation"})


@dataclass(slots=True)
class Fate:
    """What became of a step."""

    status: str
    port: str | None = None
    output: JsonValue = None
    error: JsonObject | None = None
    attempts: int = 0

    @property
    def is_decided(self) -> bool:
        return self.port is not None or self.status == "skipped"


@dataclass(slots=True)
class Prediction:
    """`fates` by key; a step that is not in it was never reached. `needs`: per started step, alternatives of which one must be over."""

    status: str = "completed"
    output: JsonValue = None
    error: JsonObject | None = None
    fates: dict[str, Fate] = field(default_factory=dict[str, Fate])
    needs: dict[str, list[tuple[str, ...]]] = field(default_factory=dict[str, list[tuple[str, ...]]])
    planned: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    undone: list[str] = field(default_factory=list[str])
    uncompensated: list[str] = field(default_factory=list[str])
    is_open_to_order: bool = False
    """Something ended early in an instant in which several things could be done: the language does not say which comes first."""


def is_retried(step: Step, failure: Fails, attempts: int) -> bool:
    assert isinstance(step.action, Call)
    return not step.action.pure and attempts < step.retry.attempts and may_retry(step.retry, failure)


def may_retry(retry: Retry, failure: Fails) -> bool:
    if failure.code in NEVER_RETRIED:
        return False
    if retry.on is not None:
        return is_listed(failure.code, retry.on)
    return failure.retryable


def is_listed(code: str, patterns: Sequence[str]) -> bool:
    return any(code == pattern or (pattern == "http_*" and code.startswith("http_")) for pattern in patterns)


def delay_ms(retry: Retry, failures: int) -> int:
    """The pause after so many failed attempts, without jitter."""
    assert not retry.jitter, "a jittered delay cannot be predicted from the language alone"
    match retry.backoff:
        case Backoff.FIXED:
            delay = retry.initial_ms
        case Backoff.LINEAR:
            delay = retry.initial_ms * failures
        case Backoff.EXPONENTIAL:
            delay = int(retry.initial_ms * retry.multiplier ** (failures - 1))
        case Backoff.FIBONACCI:
            before, now = 0, 1
            for _ in range(failures - 1):
                before, now = now, before + now
            delay = retry.initial_ms * now
    return min(delay, retry.max_ms)


def duration_ms(value: JsonValue) -> int:
    """The generators write whole seconds only."""
    assert isinstance(value, str)
    assert value.endswith("s")
    return int(value[:-1]) * 1_000
