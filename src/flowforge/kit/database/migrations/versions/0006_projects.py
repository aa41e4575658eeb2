"""projects."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Filled by its owner."""


def downgrade() -> None:
    """Filled by its owner."""
