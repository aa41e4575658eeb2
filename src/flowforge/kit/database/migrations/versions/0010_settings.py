"""settings."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Filled by its owner."""


def downgrade() -> None:
    """Filled by its owner."""
