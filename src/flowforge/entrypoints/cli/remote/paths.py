"""Paths of routes below /api/v1."""

from urllib.parse import quote


def make_path(*parts: str) -> str:
    """The path of these parts, each of them escaped."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)
