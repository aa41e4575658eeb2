"""What a running process tells: logs, metrics, traces. Nothing here may ever hold up a run."""

from flowforge.kit.telemetry.logs import Logger, LogPipe, bind_log_fields, get_logger, start_logging

__all__ = ["LogPipe", "Logger", "bind_log_fields", "get_logger", "start_logging"]
