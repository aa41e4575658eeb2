"""starts."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Filled by its owner."""


def downgrade() -> None:
    """Filled by its owner."""
