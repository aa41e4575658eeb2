"""What the tests of the messages share."""

from flowforge.operations import FatalError, RetryableError

SECRET = "123456:s3cr-et_tOken"
SERVER = "http://api.example"


def is_retried(error: FatalError | RetryableError) -> bool:
    return isinstance(error, RetryableError) and error.by_default


def after_ms(error: FatalError | RetryableError) -> int | None:
    return error.after_ms if isinstance(error, RetryableError) else None
