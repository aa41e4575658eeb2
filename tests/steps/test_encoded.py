import pytest

from flowforge.operations import FatalError
from flowforge.steps.encoded import decode_base64


@pytest.mark.parametrize("text", ["aGk=", "aGk", " aG\nk=\t", "aGk=="])
def test_base64_is_read_with_white_space_and_without_padding(text: str):
    assert decode_base64(text, "data") == b"hi"


@pytest.mark.parametrize("text", ["a", "aG-k", "§", "aG=k"])
def test_what_is_no_base64_names_its_field(text: str):
    with pytest.raises(FatalError, match=r"^parts\[1\]\.base64: ") as caught:
        decode_base64(text, "parts[1].base64")
    assert caught.value.code == "base64_invalid"
