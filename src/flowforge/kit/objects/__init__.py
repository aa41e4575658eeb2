"""The object store: files and large values, in a folder or in a bucket, never in the journal."""

from flowforge.kit.objects.location import open_shelf
from flowforge.kit.objects.shelf import StoredObject
from flowforge.kit.objects.store import ObjectStore, ObjectWriter
from flowforge.kit.objects.values import FILE_KEY, FileValue, ObjectMissingError, clean_media_type, clean_name, parse_file

__all__ = [
    "FILE_KEY",
    "FileValue",
    "ObjectMissingError",
    "ObjectStore",
    "ObjectWriter",
    "StoredObject",
    "clean_media_type",
    "clean_name",
    "open_shelf",
    "parse_file",
]
