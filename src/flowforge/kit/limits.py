"""The bounds that keep one document, expression, run or reply from taking the machine with it."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from flowforge.kit.units import parse_duration, parse_size


def _read_duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _read_size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


DurationMs = Annotated[int, BeforeValidator(_read_duration)]
"""Milliseconds; read from a number, or from text like `30s`, `7d`, `PT5M`."""

SizeBytes = Annotated[int, BeforeValidator(_read_size)]
"""Bytes; read from a number, or from text like `10MiB`."""


class Limits(BaseModel):
    """Set one by one as `FLOWFORGE_LIMIT_<NAME>`; `Limits()` has the defaults. Handed down, never read from the environment below."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    body_max_bytes: SizeBytes = Field(
        default=2**20 * 10,
        ge=1024,
        le=2**30,
        validation_alias="LIMIT_BODY_MAX",
        description="Largest JSON value that may come in at once.",
    )
    upload_max_bytes: SizeBytes = Field(
        default=25 * 2**20,
        ge=1024,
        le=2**34,
        validation_alias="LIMIT_UPLOAD_MAX",
        description="Largest file that is sent at once, and largest piece of one that is sent by /uploads.",
    )
    upload_total_bytes: SizeBytes = Field(
        default=5 * 2**30,
        ge=1024,
        le=2**44,
        validation_alias="LIMIT_UPLOAD_TOTAL",
        description="Largest file that is sent by /uploads.",
    )
    json_depth: int = Field(
        default=64, ge=8, le=200, validation_alias="LIMIT_JSON_DEPTH", description="Deepest nesting of a JSON value."
    )
    json_keys: int = Field(
        default=10_000, ge=100, le=1_000_000, validation_alias="LIMIT_JSON_KEYS", description="Most keys in one JSON object."
    )

    def_max_bytes: SizeBytes = Field(
        default=512 * 2**10, ge=1024, le=2**24, validation_alias="LIMIT_DEF_MAX", description="Largest workflow document."
    )
    steps_max: int = Field(
        default=500, ge=1, le=10_000, validation_alias="LIMIT_STEPS_MAX", description="Most steps in one workflow document."
    )
    nest_max: int = Field(
        default=20, ge=1, le=50, validation_alias="LIMIT_NEST_MAX", description="Deepest nesting of containers and of calls."
    )

    expr_src_bytes: SizeBytes = Field(
        default=4 * 2**10, ge=64, le=2**16, validation_alias="LIMIT_EXPR_SRC", description="Longest source of one expression."
    )
    expr_depth: int = Field(
        default=40, ge=4, le=60, validation_alias="LIMIT_EXPR_DEPTH", description="Deepest nesting of one expression."
    )
    expr_nodes: int = Field(
        default=2_000, ge=16, le=100_000, validation_alias="LIMIT_EXPR_NODES", description="Most parts of one expression."
    )
    expr_ops: int = Field(
        default=100_000,
        ge=100,
        le=100_000_000,
        validation_alias="LIMIT_EXPR_OPS",
        description="Most work of one evaluation, in ticks (a node, an item, or 64 bytes of text).",
    )
    expr_out_bytes: SizeBytes = Field(
        default=256 * 2**10,
        ge=64,
        le=2**26,
        validation_alias="LIMIT_EXPR_OUT",
        description="Largest value that one expression may make.",
    )

    step_in_max_bytes: SizeBytes = Field(
        default=10 * 2**20, ge=1024, le=2**30, validation_alias="LIMIT_STEP_IN_MAX", description="Largest parameters of one step."
    )
    step_out_inline_bytes: SizeBytes = Field(
        default=256 * 2**10,
        ge=256,
        le=2**24,
        validation_alias="LIMIT_STEP_OUT_INLINE",
        description="Outputs above this go to the object store, not into the journal.",
    )
    step_out_max_bytes: SizeBytes = Field(
        default=10 * 2**20,
        ge=1024,
        le=2**30,
        validation_alias="LIMIT_STEP_OUT_MAX",
        description="Largest output of one step; above it the step fails with output_too_large.",
    )

    http_connect_ms: DurationMs = Field(
        default=5_000, ge=10, le=300_000, validation_alias="LIMIT_HTTP_CONNECT", description="Time to connect to another server."
    )
    http_total_ms: DurationMs = Field(
        default=30_000,
        ge=10,
        le=3_600_000,
        validation_alias="LIMIT_HTTP_TOTAL",
        description="Time for one call to another server, redirects and body included.",
    )
    http_body_bytes: SizeBytes = Field(
        default=10 * 2**20,
        ge=1024,
        le=2**30,
        validation_alias="LIMIT_HTTP_BODY",
        description="Largest body of a reply, after decoding.",
    )
    http_redirects: int = Field(
        default=5, ge=0, le=20, validation_alias="LIMIT_HTTP_REDIRECTS", description="Most redirects followed by one call."
    )

    http_idle_ms: DurationMs = Field(
        default=30_000,
        ge=10,
        le=3_600_000,
        validation_alias="LIMIT_HTTP_IDLE",
        description="Time between two pieces of a body that is streamed to or from another server.",
    )

    script_src_bytes: SizeBytes = Field(
        default=64 * 2**10, ge=64, le=2**24, validation_alias="LIMIT_SCRIPT_SRC", description="Longest source of one script."
    )
    script_cpu_ms: DurationMs = Field(
        default=10_000, ge=10, le=600_000, validation_alias="LIMIT_SCRIPT_CPU", description="Computing time of one script."
    )
    script_wall_ms: DurationMs = Field(
        default=30_000,
        ge=10,
        le=3_600_000,
        validation_alias="LIMIT_SCRIPT_WALL",
        description="Time of one script, what it waits for included.",
    )
    script_mem_bytes: SizeBytes = Field(
        default=16 * 2**20, ge=2**20, le=2**32, validation_alias="LIMIT_SCRIPT_MEM", description="Memory of one script."
    )

    zip_entries: int = Field(
        default=1_000,
        ge=1,
        le=1_000_000,
        validation_alias="LIMIT_ZIP_ENTRIES",
        description="Most entries of an archive that is unpacked.",
    )
    zip_total_bytes: SizeBytes = Field(
        default=200 * 2**20,
        ge=1024,
        le=2**40,
        validation_alias="LIMIT_ZIP_TOTAL",
        description="Largest sum of what an archive holds, unpacked.",
    )
    zip_ratio: int = Field(
        default=100,
        ge=2,
        le=100_000,
        validation_alias="LIMIT_ZIP_RATIO",
        description="Most that packed data may grow when it is unpacked, as a factor.",
    )
    parser_mem_bytes: SizeBytes = Field(
        default=512 * 2**20,
        ge=2**24,
        le=2**40,
        validation_alias="LIMIT_PARSER_MEM",
        description="Memory of one heavy operation, beyond what its process has from the start.",
    )

    step_timeout_ms: DurationMs = Field(
        default=300_000,
        ge=100,
        le=2_592_000_000,
        validation_alias="STEP_TIMEOUT",
        description="Time of one attempt of a step that sets none.",
    )
    attempt_max_ms: DurationMs = Field(
        default=86_400_000,
        ge=1_000,
        le=2_592_000_000,
        validation_alias="LIMIT_ATTEMPT_MAX",
        description="Longest time that a step may set for one attempt.",
    )
    loop_max: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        validation_alias="LIMIT_LOOP_MAX",
        description="Most iterations that a flow.repeat may ask for.",
    )
    poison_limit: int = Field(
        default=3,
        ge=1,
        le=100,
        validation_alias="LIMIT_POISON_LIMIT",
        description="Crashes without progress after which a run is parked.",
    )
    history_bytes: SizeBytes = Field(
        default=512 * 2**20, ge=2**20, le=2**36, validation_alias="LIMIT_HISTORY_BYTES", description="Largest journal of one run."
    )

    cron_min_ms: DurationMs = Field(
        default=60_000,
        ge=1_000,
        le=86_400_000,
        validation_alias="LIMIT_CRON_MIN",
        description="Least time between two slots of a schedule; below a minute cron expressions may have six fields, seconds first.",
    )
    cron_horizon_ms: DurationMs = Field(
        default=3_650 * 86_400_000,
        ge=86_400_000,
        le=36_500 * 86_400_000,
        validation_alias="LIMIT_CRON_HORIZON",
        description="How far ahead a schedule may have its next slot.",
    )
