"""Paths of routes."""

from urllib.parse import quote


def make_path(template: str, /, **parts: str) -> str:
    """The path with its parts in their places, each of them escaped."""
    return template.format_map({name: quote(part, safe="") for name, part in parts.items()})
