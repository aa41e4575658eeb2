"""Messages between FlowForge and the process of a script: four bytes of length (big-endian) and JSON text.

Imported by that process too: only what starts fast.
"""

import struct
from typing import Final

LENGTH: Final = struct.Struct(">I")

HEAD_ROOM_BYTES: Final = 64 * 1024
"""What a message may hold besides the value that it carries."""


def pack_frame(text: bytes) -> bytes:
    return LENGTH.pack(len(text)) + text
