"""What is exported and imported: a value of JSON that people may read, and keep in a repository."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from flowforge.web.bodies import Answer, Body

FORMAT = "flowforge-configuration"


def _refuse_zero(text: str) -> str:
    # What was stored by other ways than the API may hold other control characters, and is exported all the same.
    if "\x00" in text:
        raise PydanticCustomError("control_char", "It holds a control character (U+0000).")
    return text


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Text = Annotated[str, Field(max_length=100_000), AfterValidator(_refuse_zero)]


class ProjectPart(Body):
    name: Name
    title: Text
    description: Text = ""


class VersionPart(Body):
    version: int = Field(ge=1, lt=2**31)
    note: Text = ""
    format: Literal["yaml", "json"] = "yaml"
    source: str = Field(description="The document, byte for byte.")


class DraftPart(Body):
    format: Literal["yaml", "json"] = "yaml"
    source: str


class WorkflowPart(Body):
    """`versions`: the oldest first. `title` and `labels`: what was set beside the document."""

    name: Name
    project: Name | None = None
    category: Annotated[Text, Field(max_length=100)] = ""
    active: bool = True
    public: bool = False
    title: Text | None = None
    labels: dict[Text, Text | None] = Field(default_factory=dict[str, str | None])
    deprecated: bool = False
    current_version: int | None = None
    versions: list[VersionPart] = Field(default_factory=list[VersionPart])
    draft: DraftPart | None = None


class SetPart(Body):
    name: Name
    project: Name | None = None
    title: Text
    description: Text = ""
    workflows: list[Name] = Field(default_factory=list[Name])


class TemplatePart(Body):
    kind: Literal["workflow", "step", "mail"]
    name: Name
    title: Text
    description: Text = ""
    category: Annotated[Text, Field(max_length=100)] = ""
    content: dict[str, Any]


class Configuration(Body):
    """A workspace's configuration without values of variables and without secrets."""

    format: Literal["flowforge-configuration"] = FORMAT
    version: Literal[1] = 1
    exported_at: str | None = Field(default=None, examples=["2026-03-01T09:30:00.120Z"])
    projects: list[ProjectPart] = Field(default_factory=list[ProjectPart])
    workflows: list[WorkflowPart] = Field(default_factory=list[WorkflowPart])
    workflow_sets: list[SetPart] = Field(default_factory=list[SetPart])
    templates: list[TemplatePart] = Field(default_factory=list[TemplatePart])
    variables: list[str] = Field(default_factory=list[str], description="Their names; the values stay where they are.")


class ImportedItem(Answer):
    kind: str = Field(description="project, workflow, workflow_set or template.")
    name: str
    action: Literal["create", "update", "same", "conflict"]
    message: str = Field(default="", description="What is in the way, for a conflict.")


class Imported(Answer):
    dry_run: bool
    items: list[ImportedItem]
    missing_variables: list[str] = Field(description="Names that the file lists and that are not set here.")
    missing_secrets: list[str] = Field(description="Names that its documents use and that are not set here.")
