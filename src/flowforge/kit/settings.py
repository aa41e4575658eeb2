"""The settings of one process: one frozen object, built in `entrypoints` and handed down.

Reading the environment, files and config.toml is in `settings_source`; this module says what there is to set.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from flowforge.kit.limits import DurationMs, Limits
from flowforge.kit.units import format_duration

DEFAULT_DATA: Final = Path("~/.local/share/flowforge")


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    JSON = "json"
    CONSOLE = "console"


class FileRoot(NamedTuple):
    """A folder that workflows may read and write, under the name by which they know it."""

    name: str
    folder: Path


def _read_roots(value: object) -> object:
    if not isinstance(value, str):
        return value
    roots: list[FileRoot] = []
    for part in (part.strip() for part in value.split(",")):
        name, separator, folder = part.partition("=")
        if not separator or not folder.strip():
            raise ValueError(f"{part!r} is not of the form name=folder")
        roots.append(FileRoot(name.strip(), Path(folder.strip()).expanduser()))
    return tuple(roots)


def _read_key(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if text is None:
        return None
    if not isinstance(text, str) or len(text) != 64 or any(digit not in "0123456789abcdefABCDEF" for digit in text):
        raise ValueError("a key is 64 hexadecimal digits; `openssl rand -hex 32` makes one")
    if len(set(text.lower())) < 8:
        raise ValueError("this is an example, not a key; `openssl rand -hex 32` makes one")
    return text.lower()


def _read_url(value: object) -> object:
    if value is None:
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("this is no address of the form https://host[:port][/path]")
    return str(value).rstrip("/")


def _read_syslog_url(value: object) -> object:
    if value is None:
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    is_remote = parts is not None and parts.scheme in {"udp", "tcp"} and bool(parts.hostname) and parts.path in {"", "/"}
    is_local = parts is not None and parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1
    if not is_remote and not is_local:
        raise ValueError("this is no place of syslog: udp://host:514, tcp://host:601 or unix:///dev/log")
    return value


def _expand_home(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str | Path) else value


def _read_environment(value: object) -> object:
    if value not in {None, "production", "development"}:
        raise ValueError("it is production or development")
    return value


Env = Annotated[Literal["production", "development"] | None, BeforeValidator(_read_environment)]
Roots = Annotated[tuple[FileRoot, ...], BeforeValidator(_read_roots)]
Key = Annotated[SecretStr | None, BeforeValidator(_read_key)]
Url = Annotated[str | None, BeforeValidator(_read_url)]
SyslogUrl = Annotated[str | None, BeforeValidator(_read_syslog_url)]
Folder = Annotated[Path, BeforeValidator(_expand_home)]


class Settings(BaseModel):
    """Everything that can be set, as `FLOWFORGE_<NAME>`, `FLOWFORGE_<NAME>_FILE`, or `<name>` in the data folder's config.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, validate_default=True)

    env: Env = Field(
        default=None,
        validation_alias="ENV",
        description="production: a server refuses to start with settings that are missing, too short or examples; or development. Unset, "
        "it is production where DATABASE_URL is set or others can reach the server.",
    )
    data: Folder = Field(
        default=DEFAULT_DATA, validation_alias="DATA", description="The data folder: database, keys, files, logs."
    )
    log_level: LogLevel = Field(
        default=LogLevel.INFO, validation_alias="LOG_LEVEL", description="The least severe log lines that are written."
    )
    log_format: LogFormat = Field(
        default=LogFormat.JSON,
        validation_alias="LOG_FORMAT",
        description="json: one object a line; console: text for a terminal.",
    )

    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="The database of a cluster: postgresql+psycopg://…, mysql+aiomysql://… or mariadb+aiomysql://…; "
        "unset, it is SQLite in the data folder.",
    )
    database_read_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_READ_URL",
        description="A read replica of DATABASE_URL, for lists and reports only.",
    )
    database_pool: int = Field(
        default=20,
        ge=1,
        le=1_000,
        validation_alias="DATABASE_POOL",
        description="Most connections of one process to the database, beside the engine's own two.",
    )
    broker_url: SecretStr | None = Field(
        default=None,
        validation_alias="BROKER_URL",
        description="The broker that wakes workers: redis://…, rediss://…, sentinel://… or amqp://…; unset, they look each POLL.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Redis for events that many processes hear: redis://…, redis+cluster://… or redis+sentinel://…; unset, BROKER_URL "
        "where that is a Redis.",
    )
    object_store_url: SecretStr | None = Field(
        default=None,
        validation_alias="OBJECT_STORE_URL",
        description="Where files and large values lie: file:///a/shared/folder or s3://bucket/prefix; unset, files/ in the data folder.",
    )
    host: str = Field(
        default="127.0.0.1", max_length=253, validation_alias="HOST", description="The address that health pages are served on."
    )
    health_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        validation_alias="HEALTH_PORT",
        description="The port of a worker's or scheduler's health pages; 0 takes any free one, which `flowforge workers` shows.",
    )

    public_url: Url = Field(
        default=None,
        validation_alias="PUBLIC_URL",
        description="The address under which people and other systems reach the server, like https://flowforge.example.com; "
        "links in mails begin with it.",
    )
    portal_url: Url = Field(default=None, validation_alias="PORTAL_URL", description="The address of the portal.")
    allowed_hosts: str = Field(
        default="",
        max_length=4_096,
        validation_alias="ALLOWED_HOSTS",
        description="Comma list of the host names that requests may name; unset, those of PUBLIC_URL and PORTAL_URL, and loopback always.",
    )
    port: int = Field(default=8_000, ge=0, le=65_535, validation_alias="PORT", description="The port of the server; 0 takes any.")
    trusted_proxies: str = Field(
        default="",
        max_length=4_096,
        validation_alias="TRUSTED_PROXIES",
        description="Comma list of addresses or networks (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    cors_origins: str = Field(
        default="",
        max_length=4_096,
        validation_alias="CORS_ORIGINS",
        description="Comma list of the origins whose pages may call the API from a browser, beside those set at run time.",
    )
    signing_key: Key = Field(
        default=None,
        validation_alias="SIGNING_KEY",
        description="Signs tokens, links and audit checkpoints, 64 hex digits; unset, keys/keyring.json in the data folder does.",
    )
    signing_key_previous: Key = Field(
        default=None,
        validation_alias="SIGNING_KEY_PREVIOUS",
        description="What was signed with it before SIGNING_KEY was changed is still taken.",
    )
    local_accounts: bool = Field(
        default=True, validation_alias="LOCAL_ACCOUNTS", description="People may sign in with email and password."
    )
    registration: bool = Field(
        default=False, validation_alias="REGISTRATION", description="Whoever comes may make an account, which has no role yet."
    )
    basic_auth: bool = Field(
        default=False, validation_alias="BASIC_AUTH", description="Requests may carry email and password (https only)."
    )
    api_keys: bool = Field(default=True, validation_alias="API_KEYS", description="Requests may carry API keys.")
    first_owner_email: str | None = Field(
        default=None,
        max_length=320,
        validation_alias="FIRST_OWNER_EMAIL",
        description="Whoever first signs in with this email, verified by OIDC, becomes owner.",
    )
    oidc_issuer: Url = Field(
        default=None, validation_alias="OIDC_ISSUER", description="The OpenID Connect provider `default`, with discovery."
    )
    oidc_client_id: str | None = Field(
        default=None, max_length=400, validation_alias="OIDC_CLIENT_ID", description="Our client id at OIDC_ISSUER."
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, validation_alias="OIDC_CLIENT_SECRET", description="Our client secret at OIDC_ISSUER."
    )
    oidc_audience: str | None = Field(
        default=None,
        max_length=400,
        validation_alias="OIDC_AUDIENCE",
        description="Access tokens of OIDC_ISSUER for this audience are taken as credentials.",
    )
    session_idle_ms: DurationMs = Field(
        default=86_400_000,
        ge=1_000,
        validation_alias="SESSION_IDLE",
        description="A session that is not used for this long ends.",
    )
    session_max_ms: DurationMs = Field(
        default=7 * 86_400_000, ge=1_000, validation_alias="SESSION_MAX", description="Longest life of a session."
    )
    rate_tier: Literal["free", "basic", "pro", "enterprise"] = Field(
        default="pro", validation_alias="RATE_TIER", description="The tier of API keys that name none."
    )
    rate_read: int = Field(default=5_000, ge=1, validation_alias="RATE_READ", description="Reads a person may make a minute.")
    rate_call: int = Field(default=1_000, ge=1, validation_alias="RATE_CALL", description="Changes a person may make a minute.")
    rate_start: int = Field(default=500, ge=1, validation_alias="RATE_START", description="Runs a person may start a minute.")
    rate_trigger: int = Field(
        default=200, ge=1, validation_alias="RATE_TRIGGER", description="Changes of triggers a person may make a minute."
    )
    rate_anonymous: int = Field(
        default=200,
        ge=1,
        validation_alias="RATE_ANONYMOUS",
        description="Requests of one address a minute without a credential.",
    )
    rate_auth: int = Field(
        default=20, ge=1, validation_alias="RATE_AUTH", description="Requests of one address a minute to /auth."
    )
    rate_hook: int = Field(default=1_000, ge=1, validation_alias="RATE_HOOK", description="Deliveries a minute to one webhook.")
    keep_audit_ms: DurationMs = Field(
        default=0, ge=0, validation_alias="KEEP_AUDIT", description="How long audit rows are kept; 0 is for ever."
    )
    checkpoint_every_ms: DurationMs = Field(
        default=3_600_000,
        ge=1_000,
        validation_alias="CHECKPOINT_EVERY",
        description="How often the end of the audit chain is signed.",
    )
    audit_export_url: SecretStr | None = Field(
        default=None,
        validation_alias="AUDIT_EXPORT_URL",
        description="Where the audit log also goes, a file for each checkpoint: file:///a/folder or s3://bucket/prefix.",
    )
    audit_syslog_url: SyslogUrl = Field(
        default=None,
        validation_alias="AUDIT_SYSLOG_URL",
        description="Where each audit row also goes by syslog (RFC 5424): udp://host:514, tcp://host:601 or unix:///dev/log.",
    )
    otlp_endpoint: Url = Field(
        default=None,
        validation_alias="OTLP_ENDPOINT",
        description="Where traces and log lines go by OTLP over HTTP, like http://collector:4318; it needs the extra `otel`.",
    )

    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        validation_alias="METRICS_TOKEN",
        description="Opens /metrics to whoever sends it as `Authorization: Bearer`; unset, only this machine may read them.",
    )

    runs_max: int = Field(
        default=2_000,
        ge=1,
        le=100_000,
        validation_alias="RUNS_MAX",
        description="Most runs in memory at once; waiting runs take none.",
    )
    run_timeout_ms: DurationMs = Field(
        default=0, ge=0, validation_alias="RUN_TIMEOUT", description="Time of a run whose workflow sets none; 0 is without end."
    )
    worker_concurrency: int = Field(
        default=100,
        ge=1,
        le=10_000,
        validation_alias="WORKER_CONCURRENCY",
        description="Most steps with effects at work at once in one worker.",
    )
    shutdown_grace_ms: DurationMs = Field(
        default=30_000,
        ge=0,
        le=3_600_000,
        validation_alias="SHUTDOWN_GRACE",
        description="Time that steps in flight get to end when we stop.",
    )
    beat_ms: DurationMs = Field(
        default=10_000, ge=20, le=600_000, validation_alias="BEAT", description="How often a worker says that it lives."
    )
    expiry_ms: DurationMs = Field(
        default=30_000,
        ge=60,
        le=3_600_000,
        validation_alias="EXPIRY",
        description="A worker silent for this long loses its runs to others.",
    )
    poll_ms: DurationMs = Field(
        default=1_000,
        ge=20,
        le=60_000,
        validation_alias="POLL",
        description="How often a worker looks for work without being told.",
    )
    sweep_ms: DurationMs = Field(
        default=1_000,
        ge=20,
        le=60_000,
        validation_alias="SWEEP",
        description="How often the leading scheduler looks for dead workers, due runs and what is stuck.",
    )
    stuck_after_ms: DurationMs = Field(
        default=1_800_000,
        ge=1_000,
        validation_alias="STUCK_AFTER",
        description="A run that a worker has, and that has not moved for this long, is told of as stuck.",
    )
    outbox_poll_ms: DurationMs = Field(
        default=500,
        ge=20,
        le=60_000,
        validation_alias="OUTBOX_POLL",
        description="How often events for the outside are looked for that nobody has published yet.",
    )
    keep_outbox_ms: DurationMs = Field(
        default=7 * 86_400_000,
        ge=0,
        validation_alias="KEEP_OUTBOX",
        description="How long published events are kept, for subscribers that were away.",
    )
    mocks: bool = Field(default=False, validation_alias="MOCKS", description="Steps give their `mock` instead of running.")

    history_warn: int = Field(
        default=50_000, ge=100, validation_alias="HISTORY_WARN", description="Events of one run after which the log warns."
    )
    history_max: int = Field(
        default=1_000_000, ge=1_000, validation_alias="HISTORY_MAX", description="Events of one run after which it is stopped."
    )
    keep_runs_ms: DurationMs = Field(
        default=90 * 86_400_000, ge=0, validation_alias="KEEP_RUNS", description="How long finished runs are kept; 0 is for ever."
    )
    keep_logs_ms: DurationMs = Field(
        default=90 * 86_400_000,
        ge=0,
        validation_alias="KEEP_LOGS",
        description="How long log lines of steps are kept, also of runs that go on or are kept for longer; 0 is for ever.",
    )

    egress_allow: str = Field(
        default="",
        max_length=16_384,
        validation_alias="EGRESS_ALLOW",
        description="Private addresses that steps may call: comma list of host, *.host or CIDR, each with an optional :port.",
    )
    egress_proxy: SecretStr | None = Field(
        default=None,
        validation_alias="EGRESS_PROXY",
        description="A proxy for all HTTP to the outside: http://[user:password@]host:port. The environment's proxy settings are not read.",
    )
    egress_limits: str = Field(
        default="",
        max_length=16_384,
        validation_alias="EGRESS_LIMITS",
        description="Most calls at once, and calls a second, by host and process: comma list of host=calls[@rate/s], `*` for all others.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        validation_alias="SMTP_URL",
        description="The mail server: smtp://user:password@host:587 or smtps://…:465; unset, mails lie in the data folder's mail/.",
    )
    mail_from: str | None = Field(
        default=None,
        max_length=320,
        validation_alias="MAIL_FROM",
        description="The sender of mails that name none; unset, flowforge@localhost.",
    )
    file_roots: Roots = Field(
        default=(),
        validation_alias="FILE_ROOTS",
        description="Folders that workflows may use, as name=folder; unset, it is `work`, a folder in the data folder.",
    )

    encryption_key: Key = Field(
        default=None,
        validation_alias="ENCRYPTION_KEY",
        description="Encrypts secrets, 64 hex digits; unset, keys/keyring.json in the data folder does.",
    )
    encryption_key_previous: Key = Field(
        default=None,
        validation_alias="ENCRYPTION_KEY_PREVIOUS",
        description="Still reads what was encrypted before ENCRYPTION_KEY was changed.",
    )

    limits: Limits = Limits()

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.expiry_ms < 2 * self.beat_ms:
            raise ValueError(f"EXPIRY must be at least twice BEAT, which is {format_duration(self.beat_ms)}")
        if self.history_warn > self.history_max:
            raise ValueError(f"HISTORY_WARN must not be above HISTORY_MAX, which is {self.history_max}")
        names = [root.name for root in self.file_roots]
        if len(set(names)) < len(names):
            raise ValueError("FILE_ROOTS names a root twice")
        if any(not name.isidentifier() or not name.isascii() for name in names):
            raise ValueError("FILE_ROOTS: the name of a root is made of letters, digits and _")
        return self

    def list_file_roots(self) -> tuple[FileRoot, ...]:
        """The folders that workflows may use: those that are set, else `work` in the data folder."""
        return self.file_roots or (FileRoot("work", self.data / "work"),)
