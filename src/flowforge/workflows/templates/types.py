"""Templates. Times are milliseconds since 1970 (UTC)."""

from dataclasses import dataclass
from enum import StrEnum

from flowforge.kit.values import JsonObject


class TemplateKind(StrEnum):
    WORKFLOW = "workflow"
    STEP = "step"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """A template before it is stored; `content` was checked. `title` empty: as its name."""

    kind: TemplateKind
    name: str
    content: JsonObject
    title: str = ""
    description: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """`content`, by kind: `{yaml}`; `{step}`; `{subject, text, html, sample}`."""

    id: str
    kind: TemplateKind
    name: str
    title: str
    description: str
    category: str
    content: JsonObject
    created_at_ms: int
    created_by: str
    updated_at_ms: int
    updated_by: str
    deleted_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail's template gives with data. `html` None: it has none."""

    subject: str
    text: str
    html: str | None
