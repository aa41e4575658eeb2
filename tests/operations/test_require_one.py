import pydantic
import pytest
from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject
from flowforge.operations import StrictModel, require_one


class Content(StrictModel):
    text: str | None = None
    json_content: pydantic.JsonValue = Field(default=None, alias="json")
    file: str | None = None

    @model_validator(mode="after")
    def _check_one(self) -> "Content":
        require_one(self, "text", "json_content", "file", null_counts={"json_content"})
        return self


@pytest.mark.parametrize("given", [{"text": ""}, {"json": None}, {"json": 0}, {"text": None, "file": "a"}])
def test_one_is_enough(given: JsonObject):
    assert Content.model_validate(given).model_dump(exclude_unset=True, by_alias=True) == given


@pytest.mark.parametrize("given", [{}, {"text": None}, {"text": "a", "file": "b"}, {"text": "a", "json": None}])
def test_none_and_several_are_refused_by_the_names_in_the_document(given: JsonObject):
    with pytest.raises(pydantic.ValidationError, match="give exactly one of text, json and file"):
        Content.model_validate(given)
