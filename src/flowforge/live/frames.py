"""What a client of the live connection may say."""

import json
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter
from pydantic import ValidationError as PydanticError

from flowforge.live.errors import CloseCode, LiveClosedError
from flowforge.web.bodies import Body

AFTER_MAX: Final = 2**63 - 1
_TOKEN_MAX: Final = 16_384
_DEPTH_FAULTS: Final = (ValueError, RecursionError)

SubscriptionId = Annotated[str, Field(min_length=1, max_length=100)]


class Authenticate(Body):
    """Who is there, where no header could say it."""

    type: Literal["authenticate"]
    token: str = Field(min_length=1, max_length=_TOKEN_MAX)


class Subscribe(Body):
    """`topic`: `run:<id>`, `workflow:<id or name>`, `user` or `workspace`. `after`: the number of the last event that is known."""

    type: Literal["subscribe"]
    id: SubscriptionId
    topic: str = Field(min_length=1, max_length=300)
    after: int | None = Field(default=None, ge=0, le=AFTER_MAX)


class Unsubscribe(Body):
    """No more of that subscription."""

    type: Literal["unsubscribe"]
    id: SubscriptionId


Frame = Annotated[Authenticate | Subscribe | Unsubscribe, Field(discriminator="type")]
_FRAME: Final[TypeAdapter[Authenticate | Subscribe | Unsubscribe]] = TypeAdapter(Frame)


def read_frame(text: str | None) -> Authenticate | Subscribe | Unsubscribe:
    """Raises LiveClosedError (4400) where it is no frame; `text` None: it was binary."""
    if text is None:
        raise LiveClosedError(CloseCode.BAD_FRAME, "Send frames as text.")
    try:
        return _FRAME.validate_python(json.loads(text))
    except (PydanticError, *_DEPTH_FAULTS):
        raise LiveClosedError(CloseCode.BAD_FRAME, "This is no frame: authenticate, subscribe or unsubscribe.") from None
