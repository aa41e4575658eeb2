"""The parameters of a call: JSON, or a form with the JSON part `params` and files, each under the path of its parameter."""

from typing import Final

from starlette.datastructures import UploadFile
from starlette.requests import Request

from flowforge.files.service import check_files, keep_file, store_stream, take_in
from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.objects import ObjectStore
from flowforge.kit.objects.values import FileValue, clean_media_type, clean_name
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.web.bodies import check_content_type, read_json
from flowforge.web.calls import Call
from flowforge.web.errors import BadRequestError

PARAMETERS: Final = "params"
_FORM: Final = "multipart/form-data"
_FILES_MAX: Final = 20


async def read_parameters(call: Call, request: Request) -> JsonValue:
    """The parameters with their files stored and known to the workspace; nothing where there is no body is `{}`.

    Raises:
        BadRequestError, MediaTypeError, PayloadTooLargeError: the body cannot be read.
        ValidationError: a file is named that the caller cannot read.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() == _FORM:
        value, stored = await _read_form(call, request)
    else:
        data = await request.body()
        if data:
            check_content_type(content_type or None)
        value, stored = (read_json(data, call.limits) if data else {}), []
    async with call.read() as session:
        own = {file.id for file in stored}
        await check_files(session, call.workspace_id, _without(value, own))
    value, taken = await take_in(call.port(ObjectStore), value, most_bytes=call.limits.upload_max_bytes)
    await _keep(call, [*stored, *taken])
    return value


async def _read_form(call: Call, request: Request) -> tuple[JsonValue, list[FileValue]]:
    async with request.form(max_files=_FILES_MAX, max_fields=1) as form:
        given = form.get(PARAMETERS)
        text = await given.read() if isinstance(given, UploadFile) else (given or "{}").encode()
        value = read_json(text, call.limits)
        if not isinstance(value, dict):
            raise BadRequestError(f"The part `{PARAMETERS}` is a JSON object.", reason="json_invalid", field=PARAMETERS)
        stored: list[FileValue] = []
        for path, part in form.multi_items():
            if path == PARAMETERS:
                continue
            if not isinstance(part, UploadFile):
                message = f"Parameters stand in the JSON part `{PARAMETERS}`; {path[:80]!r} is neither that nor a file."
                raise ValidationError(message, [Detail(path[:80], message, "field_unknown")])
            file = await store_stream(
                call.port(ObjectStore),
                part.file,
                name=clean_name(part.filename or "file"),
                media_type=clean_media_type(part.content_type or ""),
                most_bytes=call.limits.upload_max_bytes,
            )
            _place(value, path, file)
            stored.append(file)
    return value, stored


def _place(value: JsonObject, path: str, file: FileValue) -> None:
    *folders, last = path.split(".")
    for folder in folders:
        inner = value.setdefault(folder, {})
        if not isinstance(inner, dict):
            message = f"The file {path[:80]!r} has no place: {folder[:80]!r} is no object."
            raise ValidationError(message, [Detail(path[:80], message, "file_place")])
        value = inner
    value[last] = file.to_json()


def _without(value: JsonValue, own: set[str]) -> JsonValue:
    """The value without the files that came with it."""
    if isinstance(value, dict):
        facts = value.get("$file")
        if isinstance(facts, dict) and facts.get("id") in own:
            return None
        return {name: _without(item, own) for name, item in value.items()}
    return [_without(item, own) for item in value] if isinstance(value, list) else value


async def _keep(call: Call, stored: list[FileValue]) -> None:
    if not stored:
        return
    async with call.change() as session:
        for file in stored:
            await keep_file(session, call.actor, call.workspace_id, file, at_ms=call.now_ms)
