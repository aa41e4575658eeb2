"""Bodies of the audit log's answers."""

from typing import Annotated

from pydantic import Field

from flowforge.web.bodies import Answer, JsonField


class AuditRowAnswer(Answer):
    """One thing that was done. What told of a person who was erased reads `(erased)`."""

    no: Annotated[int, Field(description="Its number in the chain, which has no gaps.", examples=[17])]
    workspace_id: Annotated[str | None, Field(description="Null: of the installation.")]
    entity: Annotated[str, Field(examples=["workflow"])]
    entity_id: Annotated[str, Field(examples=["wf_01jz5c2q8hm7k3v9x4e6t0w1yb"])]
    action: Annotated[str, Field(examples=["workflow.published"])]
    actor: Annotated[
        str, Field(description="`user:usr_…`, `anonymous` or `system`.", examples=["user:usr_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    ]
    credential: Annotated[str, Field(description="`session:ses_…`, `key:key_…`, `token:…`, or empty.")]
    ip: Annotated[str | None, Field(examples=["192.0.2.7"])]
    request_id: str
    before: JsonField = None
    after: JsonField = None
    time: Annotated[str, Field(examples=["2026-03-01T08:00:00.123Z"])]
    hash: Annotated[
        str, Field(description="SHA-256 of the hash of the row before and the RFC 8785 JSON of this one without `hash`.")
    ]


class CheckpointAnswer(Answer):
    """The end of the chain at a row, signed with Ed25519 over the RFC 8785 JSON of hash, key_id, no and time."""

    no: int
    hash: str
    time: str
    key_id: Annotated[str, Field(description="The key's RFC 7638 thumbprint, its `kid` at /.well-known/jwks.json.")]
    signature: Annotated[str, Field(description="64 bytes in base64url.")]


class VerdictAnswer(Answer):
    """Whether the chain is what was written."""

    valid: bool
    checked: Annotated[int, Field(description="Rows that are as they were written.")]
    first_bad: Annotated[int | None, Field(description="The first row that is not.")] = None
    reason: Annotated[
        str | None,
        Field(
            description="changed, removed, inserted, reordered, truncated, rewritten, signature or key_unknown.",
            examples=["changed"],
        ),
    ] = None
    message: str = ""
    signed_up_to: Annotated[int, Field(description="The last row that a checkpoint covers; those behind it are not signed yet.")]
