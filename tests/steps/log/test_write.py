import pytest
from tests.support.attempts import Attempts

from flowforge.kit.values import JsonObject
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.steps.log.write import write


async def test_a_line_is_logged_once_with_secrets_masked():
    attempts = Attempts({}, secrets=("s3cret-key",))
    output = await attempts.call(
        write, {"message": "Got s3cret-key", "level": "warning", "fields": {"count": 1, "list": ["s3cret-key"]}}
    )
    assert output is None
    assert attempts.log == [("warning", "Got ***", {"count": 1, "list": ["***"]})]


@pytest.mark.parametrize("parameters", [{}, {"message": ""}, {"message": "x", "level": "fatal"}, {"message": "x" * 10_001}])
def test_a_line_that_cannot_be_logged_is_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(write, parameters)
