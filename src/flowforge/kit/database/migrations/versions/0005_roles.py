"""roles."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Filled by its owner."""


def downgrade() -> None:
    """Filled by its owner."""
