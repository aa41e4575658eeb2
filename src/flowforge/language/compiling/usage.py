"""What a document uses, gathered while it is compiled."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Usage:
    """Names without order; `reads_resume_url`: an expression says `run.resume_url`; `expressions` counts them."""

    variables: set[str] = field(default_factory=set[str])
    secrets: set[str] = field(default_factory=set[str])
    calls: set[str] = field(default_factory=set[str])
    operations: set[str] = field(default_factory=set[str])
    reads_resume_url: bool = False
    expressions: int = 0
