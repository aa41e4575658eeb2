"""schedules."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Filled by its owner."""


def downgrade() -> None:
    """Filled by its owner."""
