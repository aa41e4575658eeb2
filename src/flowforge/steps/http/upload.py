"""`http.upload`."""

from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.file.access import PATH_ERRORS
from flowforge.steps.http.answers import is_expected, read_body, refuse_status
from flowforge.steps.http.bodies import BODY_ERRORS
from flowforge.steps.http.progress import Progress
from flowforge.steps.http.sending import CALL_ERRORS, Call, Caller, find_host
from flowforge.steps.http.sources import FilePiece, make_section
from flowforge.steps.http.tus import TUS_ERRORS, TusUpload
from flowforge.steps.http.upload_models import UploadParameters, UploadResult, open_source

_DECLARED = {error.code for error in PATH_ERRORS}


@operation(
    "http.upload",
    title="Upload a file",
    category="http",
    icon="upload",
    nature=Nature.EFFECT,
    errors=(
        *CALL_ERRORS,
        *PATH_ERRORS,
        *(error for error in BODY_ERRORS if error.code not in {*_DECLARED, "base64_invalid"}),
        *TUS_ERRORS,
    ),
    target=find_host,
    examples=(
        Example(
            "Put a file where a server keeps it",
            {
                "url": "https://api.example.com/backups/hello.txt",
                "path": "greetings/hello.txt",
                "auth": {"bearer": "${{ secrets.SHOP_TOKEN }}"},
            },
            {
                "status": 201,
                "headers": {"content-type": "application/json", "content-length": "14"},
                "body": {"received": 5},
                "url": "https://api.example.com/backups/hello.txt",
                "size": 5,
                "resume_count": 0,
            },
        ),
        Example(
            "Upload a large file that can go on after a broken connection (tus)",
            {
                "url": "https://api.example.com/uploads",
                "path": "greetings/hello.txt",
                "protocol": "tus",
                "metadata": {"album": "greetings"},
            },
            {
                "status": 204,
                "headers": {"tus-resumable": "1.0.0", "upload-offset": "5"},
                "body": None,
                "url": "https://api.example.com/uploads/1",
                "size": 5,
                "resume_count": 0,
            },
        ),
    ),
)
async def upload(parameters: UploadParameters, context: OperationContext) -> UploadResult:
    """Sends a file value, or a file below a file root, to a URL, piece by piece.

    With the protocol `plain` the file is the body of one PUT or POST. With `tus` (tus.io, version 1.0) the server keeps what has arrived:
    after a broken connection the upload goes on there, `resumes` times in one attempt; another attempt of the step goes on there too, if
    the server knows the `Idempotency-Key` with which the upload was created. Where the server keeps the upload on another host, neither
    headers nor credentials are sent there. Progress is written to the step's log.
    A file that takes longer than the step's `timeout` needs a longer one.
    """
    piece = await open_source(parameters, context)
    caller = Caller(parameters, context)
    if parameters.protocol == "tus":
        return await TusUpload(parameters, context, caller, piece).send()
    return await _send_plainly(parameters, context, caller, piece)


async def _send_plainly(
    parameters: UploadParameters, context: OperationContext, caller: Caller, piece: FilePiece
) -> UploadResult:
    progress = Progress(context, "uploaded")
    body = make_section(piece, 0, piece.size_bytes, lambda place: progress.tell(place, piece.size_bytes))
    headers = {"Content-Type": parameters.find_media_type(piece)}
    response = await caller.exchange(Call(parameters.method, parameters.url, headers, parameters.query, body))
    if not is_expected(response.status, parameters.expect):
        raise refuse_status(response, context)
    return UploadResult(
        status=response.status,
        headers=response.headers,
        body=read_body(response, "auto", context),
        url=response.url,
        size=piece.size_bytes,
        resume_count=0,
    )
