"""Log lines go to OTLP_ENDPOINT too, where it is set."""

import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

from flowforge import __version__
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry import start_logging
from flowforge.kit.values import JsonObject


@contextmanager
def export_logs(settings: Settings, masker: Masker, describe: Callable[[], JsonObject] = dict) -> Generator[None]:
    """While the block lasts; `describe`: fields that every line begins with. OpenTelemetry's OTEL_LOGS_EXPORTER=none keeps lines back.

    Raises:
        ValidationError: OTLP_ENDPOINT is no address, or the extra `otel` is not installed.
    """
    if settings.otlp_endpoint is None or os.environ.get("OTEL_LOGS_EXPORTER") == "none":
        yield
        return
    # OpenTelemetry's SDK, for who sends only.
    from flowforge.kit.telemetry.exporting import LogExport, find_logs_url, is_to_be_sent

    url = find_logs_url(settings.otlp_endpoint)
    if url is None:
        yield
        return
    output = LogExport(url, version=__version__, instance=f"{socket.gethostname()}-{os.getpid()}")
    with start_logging(output, level=settings.log_level.value, masker=masker, is_console=False) as pipe:
        pipe.describe_process = describe
        pipe.addFilter(is_to_be_sent)
        yield
