"""What the tests of the HTTP operations share: a server behind `api.example`, and calls to it."""

import pytest
from tests.support.attempts import Attempts

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, Operation, RetryableError

SECRET = "s3cr+t/with=signs&more"


async def call(attempts: Attempts, operation: Operation, path: str = "/", /, **parameters: JsonValue) -> JsonObject:
    output = await attempts.call(operation, {"url": f"http://api.example{path}", **parameters})
    assert isinstance(output, dict)
    return output


async def refuse(
    attempts: Attempts, operation: Operation, path: str = "/", /, **parameters: JsonValue
) -> FatalError | RetryableError:
    with pytest.raises((FatalError, RetryableError)) as caught:
        await call(attempts, operation, path, **parameters)
    return caught.value


def is_retried(error: FatalError | RetryableError) -> bool:
    return isinstance(error, RetryableError) and error.by_default


def facts_of(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict)
    facts = value["$file"]
    assert isinstance(facts, dict)
    return facts
