"""A file as a value in a workflow: what is said about it, and how that is read from JSON and made safe."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from flowforge.kit.errors import Detail, NotFoundError, ValidationError
from flowforge.kit.ids import is_id
from flowforge.kit.values import JsonObject, JsonValue

FILE_KEY: Final = "$file"
FILE_PREFIX: Final = "file"
"""Of the ids of files; `VALUE_PREFIX` of those of a journal's values, which stand in no file that a step hands on."""
VALUE_PREFIX: Final = "value"
_NAME_MAX_BYTES: Final = 200
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class ObjectMissingError(NotFoundError):
    """There are no bytes under this id."""

    def __init__(self, file_id: str) -> None:
        message = f"The file {file_id} is not in the object store any more."
        super().__init__(message, [Detail(field="", message=message, code="file_missing")])


@dataclass(frozen=True, slots=True)
class FileValue:
    """A file as a value in a workflow: everything about it but the bytes."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str

    def to_json(self) -> JsonObject:
        """The form in which steps see it: `{"$file": {"id", "name", "media_type", "size", "sha256"}}`."""
        return {
            FILE_KEY: {
                "id": self.id,
                "name": self.name,
                "media_type": self.media_type,
                "size": self.size_bytes,
                "sha256": self.sha256,
            }
        }


def parse_file(value: JsonValue) -> FileValue:
    """The file that a JSON value is.

    Raises:
        ValidationError: the value is no file; code `file_invalid`. Nothing is said about whether its bytes exist.
    """
    facts = value.get(FILE_KEY) if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(facts, dict):
        match facts:
            case {"id": str(id_), "name": str(name), "media_type": str(media_type), "size": int(size), "sha256": str(sha256)} if (
                len(facts) == 5 and is_id(id_, FILE_PREFIX) and size >= 0 and _SHA256.fullmatch(sha256)
            ):
                return FileValue(id_, clean_name(name), clean_media_type(media_type), size, sha256)
            case _:
                pass
    message = 'This value is no file; a file is {"$file": {"id", "name", "media_type", "size", "sha256"}} as a step gave it.'
    raise ValidationError(message, [Detail(field="", message=message, code="file_invalid")])


def clean_name(name: str) -> str:
    """A file name for people: the last part of a path, without control, format and reserved characters, at most 200 bytes."""
    last = re.split(r"[/\\]", name)[-1][:1_000]
    kept = "".join(
        char for char in unicodedata.normalize("NFC", last) if unicodedata.category(char)[0] != "C" and char not in '<>:"|?*'
    )
    kept = kept.strip(" .")
    while len(kept.encode()) > _NAME_MAX_BYTES:
        kept = kept[:-1]
    return kept or "file"


def clean_media_type(media_type: str) -> str:
    """`type/subtype` in lower case without parameters; `application/octet-stream` where it is none."""
    bare = media_type.partition(";")[0].strip().lower()
    return bare if _MEDIA_TYPE.fullmatch(bare) else "application/octet-stream"
