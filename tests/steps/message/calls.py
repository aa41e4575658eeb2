"""What the tests of the messages share."""

import pytest
from tests.support.attempts import Attempts

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, Operation, RetryableError

SECRET = "123456:s3cr-et_tOken"
SERVER = "http://api.example"


async def call(attempts: Attempts, operation: Operation, **parameters: JsonValue) -> JsonObject:
    output = await attempts.call(operation, parameters)
    assert isinstance(output, dict)
    return output


async def refuse(attempts: Attempts, operation: Operation, **parameters: JsonValue) -> FatalError | RetryableError:
    with pytest.raises((FatalError, RetryableError)) as caught:
        await call(attempts, operation, **parameters)
    return caught.value


def is_retried(error: FatalError | RetryableError) -> bool:
    return isinstance(error, RetryableError) and error.by_default


def after_ms(error: FatalError | RetryableError) -> int | None:
    return error.after_ms if isinstance(error, RetryableError) else None
