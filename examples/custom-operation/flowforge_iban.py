"""One operation, `iban.check`: the whole of it is in this file."""

import re

from pydantic import Field

from flowforge.operations import ErrorCode, Example, FatalError, Nature, StrictModel, operation

_SHAPE = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


class CheckParameters(StrictModel):
    """What to check."""

    text: str = Field(description="The account number; spaces do not count.", max_length=100)


class CheckResult(StrictModel):
    """What it says."""

    is_valid: bool = Field(description="Whether the check digits fit.")
    country: str = Field(description="The country's code, such as DE.")
    printed: str = Field(description="The number in groups of four.")


@operation(
    "iban.check",
    title="Check an IBAN",
    category="banking",
    icon="landmark",
    nature=Nature.PURE,
    errors=(ErrorCode("iban_shape", "The text does not look like an IBAN at all."),),
    examples=(
        Example(
            "A number from the standard's own examples",
            {"text": "GB82 WEST 1234 5698 7654 32"},
            {"is_valid": True, "country": "GB", "printed": "GB82 WEST 1234 5698 7654 32"},
        ),
    ),
)
def check_iban(parameters: CheckParameters) -> CheckResult:
    """Checks the two check digits of an international bank account number (ISO 13616, modulus 97)."""
    compact = "".join(parameters.text.split()).upper()
    if not _SHAPE.fullmatch(compact):
        raise FatalError("This is no IBAN: two letters, two digits and 11 to 30 characters are expected.", code="iban_shape")
    digits = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return CheckResult(
        is_valid=int(digits) % 97 == 1,
        country=compact[:2],
        printed=" ".join(compact[start : start + 4] for start in range(0, len(compact), 4)),
    )
