"""The body of a request, as its parameters give it."""

import asyncio
from typing import Final

from flowforge.kit.border import encode
from flowforge.operations import ErrorCode, OperationContext
from flowforge.steps.encoded import decode_base64
from flowforge.steps.http.fields import write_form
from flowforge.steps.http.multipart import build_multipart
from flowforge.steps.http.parameters import RequestParameters
from flowforge.steps.http.sending import Body
from flowforge.steps.http.sources import make_source, open_piece
from flowforge.steps.stored import STORED_ERRORS

BODY_ERRORS: Final = (
    *STORED_ERRORS,
    ErrorCode("file_changed", "The file changed while it was sent.", retryable=True),
    ErrorCode("base64_invalid", "The body, or a part of it, is no base64."),
)


async def build_body(parameters: RequestParameters, context: OperationContext) -> tuple[str | None, Body | None]:
    """The Content-Type and the body; neither where there is none.

    Raises:
        FatalError: `file_invalid`, `file_missing`, `base64_invalid`.
    """
    if parameters.form is not None:
        return "application/x-www-form-urlencoded", write_form(parameters.form)
    if parameters.text is not None:
        return "text/plain; charset=utf-8", parameters.text.encode()
    if parameters.base64 is not None:
        return "application/octet-stream", decode_base64(parameters.base64, "base64")
    if parameters.file is not None:
        piece = await asyncio.to_thread(open_piece, context, parameters.file, "file")
        return piece.file.media_type if piece.file else None, make_source([piece])
    if parameters.multipart is not None:
        media_type, pieces = await asyncio.to_thread(build_multipart, parameters.multipart, context)
        return media_type, make_source(pieces)
    if "json_body" in parameters.model_fields_set:
        return "application/json", encode(parameters.json_body)
    return None, None
