"""`text.similarity`."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, model_validator

from flowforge.operations import Example, Nature, StrictModel, operation, require_one

Method = Literal["levenshtein", "damerau", "jaro_winkler", "words", "contains"]


class SimilarityParameters(StrictModel):
    """A text, and another one or a list of them."""

    data: str = Field(description="The text.", max_length=50_000)
    to: str | None = Field(default=None, description="The other text.", max_length=50_000)
    choices: list[str] | None = Field(
        default=None, min_length=1, max_length=10_000, description="Texts of which the best one is looked for."
    )
    method: Method = Field(
        default="levenshtein",
        description="By single changes, also of neighbours (`damerau`); for names; by words in any order; or as a part of the other.",
    )
    ignore_case: bool = Field(
        default=True, description="Whether upper and lower case, and white space around, make no difference."
    )

    @model_validator(mode="after")
    def _check_other(self) -> "SimilarityParameters":
        require_one(self, "to", "choices")
        if len(self.data) * sum(map(len, self.choices or [])) > 50_000_000:
            raise ValueError("data and choices are too long together; compare with fewer or shorter ones")
        return self


class SimilarityResult(StrictModel):
    """How alike they are."""

    similarity: float = Field(description="0 (nothing in common) to 1 (equal); of the best one where there are choices.")
    best: str | None = Field(default=None, description="The best one of the choices; of equal ones the first.")
    index: int | None = Field(default=None, description="Its place among the choices, from 0.")


@operation(
    "text.similarity",
    title="Compare texts",
    category="text",
    icon="equal-approximately",
    nature=Nature.PURE,
    examples=(
        Example("Two spellings", {"data": "Meyer", "to": "Meier"}, {"similarity": 0.8, "best": None, "index": None}),
        Example(
            "The customer that was meant",
            {"data": "Acme Gmbh", "choices": ["Apex Ltd", "ACME GmbH", "Acme Inc"]},
            {"similarity": 1.0, "best": "ACME GmbH", "index": 1},
        ),
    ),
)
def compare_texts(parameters: SimilarityParameters) -> SimilarityResult:
    """Says how alike two texts are, or which of several is most like one. Figures are rounded to four places."""
    measure = _find_measure(parameters.method)
    data = _prepare(parameters.data, parameters)
    others = parameters.choices if parameters.choices is not None else [parameters.to or ""]
    found = [measure(data, _prepare(other, parameters)) for other in others]
    best = max(range(len(found)), key=lambda place: found[place])
    similarity = round(found[best], 4)
    if parameters.choices is None:
        return SimilarityResult(similarity=similarity)
    return SimilarityResult(similarity=similarity, best=others[best], index=best)


def _prepare(text: str, parameters: SimilarityParameters) -> str:
    return text.strip().casefold() if parameters.ignore_case else text


def _find_measure(method: Method) -> Callable[[str, str], float]:
    # The library takes 20 ms to import.
    from rapidfuzz import distance, fuzz

    def percent(measure: Callable[..., Any]) -> Callable[[str, str], float]:
        return lambda one, other: float(measure(one, other)) / 100

    measures: dict[Method, Callable[[str, str], float]] = {
        "levenshtein": distance.Levenshtein.normalized_similarity,
        "damerau": distance.DamerauLevenshtein.normalized_similarity,
        "jaro_winkler": distance.JaroWinkler.normalized_similarity,
        "words": percent(fuzz.token_sort_ratio),
        "contains": percent(fuzz.partial_ratio),
    }
    return measures[method]
