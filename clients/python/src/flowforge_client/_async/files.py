"""Files: small ones in one request, large ones piece by piece."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final

from flowforge_client._generated.async_operations import AsyncOperations
from flowforge_client._generated.models import FileAnswer
from flowforge_client.errors import ApiError, ConnectionLostError
from flowforge_client.waiting import TRIES, find_pause_s, sleep_async

WHOLE_MOST_BYTES: Final = 8 * 1024 * 1024
"""A larger file goes in pieces of this size."""


class AsyncFiles:
    """`client.files`."""

    def __init__(self, api: AsyncOperations) -> None:
        self._api = api

    async def upload(self, source: str | Path | bytes, *, name: str | None = None, media_type: str | None = None) -> FileAnswer:
        """Stores a file (a path, or bytes) on the server. A large one goes in pieces, and goes on where a lost connection ended it."""
        path = None if isinstance(source, bytes) else Path(source)
        called = name or ("file" if path is None else path.name)
        kind = media_type or mimetypes.guess_type(called)[0] or "application/octet-stream"
        data = path.read_bytes() if path is not None else source
        assert isinstance(data, bytes)
        if len(data) <= WHOLE_MOST_BYTES:
            return await self._api.post_files((called, data, kind))
        return await self._send_pieces(called, kind, data)

    async def get(self, file_id: str) -> FileAnswer:
        return await self._api.get_files_one(file_id)

    async def download(self, file_id: str) -> bytes:
        return await self._api.get_files_one_content(file_id)

    async def delete(self, file_id: str) -> None:
        await self._api.delete_files_one(file_id)

    async def _send_pieces(self, name: str, media_type: str, data: bytes) -> FileAnswer:
        upload = await self._api.post_uploads({"name": name, "media_type": media_type, "size_bytes": len(data)})
        failures = 0
        while upload["received_bytes"] < len(data):
            offset = upload["received_bytes"]
            try:
                piece = data[offset : offset + WHOLE_MOST_BYTES]
                upload = await self._api.patch_uploads_one(upload["id"], piece, upload_offset=offset)
                failures = 0
            except (ConnectionLostError, ApiError) as fault:
                failures += 1
                if failures >= TRIES or (isinstance(fault, ApiError) and fault.status not in {409, 503}):
                    raise
                await sleep_async(find_pause_s(failures, None))
                upload = await self._api.get_uploads_one(upload["id"])
        return await self._api.post_uploads_one_complete(upload["id"], {"sha256": hashlib.sha256(data).hexdigest()})
