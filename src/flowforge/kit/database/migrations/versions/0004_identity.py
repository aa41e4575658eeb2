"""Identity: people, and what they prove themselves with."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0004"
down_revision = "0003"

JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    _create_users()
    _create_passwords()
    _create_sessions()
    _create_refresh_tokens()
    _create_api_keys()
    _create_api_key_usage()
    _create_one_time_links()
    _create_sign_in_failures()
    _create_external_identities()
    _create_account_letters()


def downgrade() -> None:
    for table in (
        "account_letters",
        "external_identities",
        "sign_in_failures",
        "one_time_links",
        "api_key_usage",
        "api_keys",
        "refresh_tokens",
        "sessions",
        "passwords",
        "users",
    ):
        steps.drop_table(table)


def _create_users() -> None:
    steps.create_table(
        "users",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("issuer", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(320), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", sa.String(320), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("is_confirmed", sa.Boolean(), nullable=False),
        sa.Column("upstream_issuer", sa.String(200)),
        sa.Column("upstream_id", sa.String(320)),
        sa.Column("workspace_id", sa.String(64)),
        sa.Column("attributes", JSON_TEXT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("signed_in_at", sa.BigInteger()),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("erased_at", sa.BigInteger()),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("issuer", "email_key", "deleted_at", name="uq_users_issuer_email_key_deleted_at"),
        sa.UniqueConstraint("issuer", "subject", "deleted_at", name="uq_users_issuer_subject_deleted_at"),
    )
    steps.create_index("ix_users_email_key", "users", ["email_key"])
    steps.create_index("ix_users_name", "users", ["name"])


def _create_passwords() -> None:
    steps.create_table(
        "passwords",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(255)),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("totp_key_id", sa.String(64)),
        sa.Column("totp_sealed", BYTES),
        sa.Column("totp_since", sa.BigInteger()),
        sa.Column("totp_step", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_passwords"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_passwords_user_id_users"),
    )


def _create_sessions() -> None:
    steps.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("sealed", BYTES, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_sessions"),
        sa.UniqueConstraint("id", name="uq_sessions_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id_users"),
    )
    steps.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    steps.create_index("ix_sessions_user_id", "sessions", ["user_id"])


def _create_refresh_tokens() -> None:
    steps.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_refresh_tokens_user_id_users"),
    )
    steps.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    steps.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])


def _create_api_keys() -> None:
    steps.create_table(
        "api_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("prefix", sa.String(12), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("permissions", JSON_TEXT, nullable=False),
        sa.Column("tier", sa.String(20)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("prefix", name="uq_api_keys_prefix"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id_users"),
    )
    steps.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    steps.create_index("ix_api_keys_workspace_id_id", "api_keys", ["workspace_id", "id"])


def _create_api_key_usage() -> None:
    steps.create_table(
        "api_key_usage",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("hour_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "hour_at", "address", name="pk_api_key_usage"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_api_key_usage_key_id_api_keys"),
    )


def _create_one_time_links() -> None:
    steps.create_table(
        "one_time_links",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("digest", name="pk_one_time_links"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_one_time_links_user_id_users"),
    )
    steps.create_index("ix_one_time_links_expires_at", "one_time_links", ["expires_at"])
    steps.create_index("ix_one_time_links_user_id", "one_time_links", ["user_id"])


def _create_sign_in_failures() -> None:
    steps.create_table(
        "sign_in_failures",
        sa.Column("scope", sa.String(200), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_sign_in_failures"),
    )
    steps.create_index("ix_sign_in_failures_since", "sign_in_failures", ["since"])


def _create_external_identities() -> None:
    steps.create_table(
        "external_identities",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("connector", sa.String(200), nullable=False),
        sa.Column("external_id", sa.String(255), nullable=False),
        sa.Column("email", sa.String(320)),
        sa.Column("name", sa.String(255)),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("attributes", JSON_TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_external_identities"),
        sa.UniqueConstraint("connector", "external_id", name="uq_external_identities_connector_external_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_external_identities_user_id_users"),
    )
    steps.create_index("ix_external_identities_user_id", "external_identities", ["user_id"])


def _create_account_letters() -> None:
    steps.create_table(
        "account_letters",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("sealed", BYTES, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account_letters"),
    )
    steps.create_index("ix_account_letters_due_at", "account_letters", ["due_at"])
