"""`http.download`."""

from flowforge.operations import ErrorCode, Example, Nature, OperationContext, operation
from flowforge.steps.file.access import TARGET_ERRORS
from flowforge.steps.http.download_models import DownloadParameters, DownloadResult
from flowforge.steps.http.fetching import Fetcher
from flowforge.steps.http.sending import CALL_ERRORS, Caller, find_host


@operation(
    "http.download",
    title="Download a file",
    category="http",
    icon="download",
    nature=Nature.EFFECT,
    errors=(
        *CALL_ERRORS,
        *(error for error in TARGET_ERRORS if error.code != "file_too_large"),
        ErrorCode("checksum_mismatch", "The file came whole, but is not the one that `sha256` asks for; nothing was kept."),
    ),
    target=find_host,
    examples=(
        Example(
            "Fetch a report as a file value",
            {"url": "https://api.example.com/reports/2026-01.pdf", "auth": {"bearer": "${{ secrets.SHOP_TOKEN }}"}},
            {
                "file": {
                    "$file": {
                        "id": "file_01jzzzzzzzzzzzzzzzzzzzzzzz",
                        "name": "January.pdf",
                        "media_type": "application/pdf",
                        "size": 8,
                        "sha256": "86edbaa24831badfa0a8b04bb410141e2ee4182b6d0014493fe262a7a331c20b",
                    }
                },
                "size": 8,
                "sha256": "86edbaa24831badfa0a8b04bb410141e2ee4182b6d0014493fe262a7a331c20b",
                "headers": {
                    "content-type": "application/pdf",
                    "content-disposition": 'attachment; filename="January.pdf"',
                    "content-length": "8",
                },
                "url": "https://api.example.com/reports/2026-01.pdf",
                "resume_count": 0,
            },
            varies=True,
        ),
        Example(
            "Fetch a file into a folder, and make sure that it is the right one",
            {
                "url": "https://api.example.com/exports/stock.csv",
                "path": "imports/stock.csv",
                "sha256": "88cfe768a6adec2c6baabc841c41aac4bc55669793772e1a06a7c2734ebb25b3",
            },
            {
                "file": None,
                "root": "work",
                "path": "imports/stock.csv",
                "size": 17,
                "sha256": "88cfe768a6adec2c6baabc841c41aac4bc55669793772e1a06a7c2734ebb25b3",
                "headers": {"content-type": "text/csv", "etag": '"s1"', "content-length": "17"},
                "url": "https://api.example.com/exports/stock.csv",
                "resume_count": 0,
            },
        ),
    ),
)
async def download(parameters: DownloadParameters, context: OperationContext) -> DownloadResult:
    """Fetches a file of up to 10 GiB into the object store or below a file root, piece by piece.

    If the connection breaks in the middle, the download goes on where it was (Range and If-Range, RFC 9110), as long as the server names
    the file's version by a strong ETag or a Last-Modified; if it changed meanwhile, it begins anew. The next attempt of the step begins
    anew too. The file is there whole or not at all, and with `sha256` only if it is the right one. Progress is written to the step's log.
    A file that takes longer than the step's `timeout` needs a longer one.
    """
    arrival = await Fetcher(parameters, context, Caller(parameters, context)).fetch()
    is_there = arrival.sha256 is not None
    return DownloadResult(
        file=None if arrival.file is None else arrival.file.to_json(),
        root=parameters.root if parameters.path is not None else None,
        path=parameters.path,
        size=arrival.size_bytes,
        sha256=arrival.sha256,
        headers=arrival.headers,
        url=arrival.url,
        resume_count=arrival.resumed,
        is_changed=None if parameters.if_changed is None else is_there,
    )
