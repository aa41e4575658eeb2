"""Redis servers of a test's own that are more than one plain server."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.own_servers import OwnRedis


class ArrangedRedis(OwnRedis):
    """A server with further arguments on its command line."""

    extra: tuple[str, ...] = ()
    configuration: str = ""

    def command(self) -> Sequence[str | Path]:
        program, *others = super().command()
        if not self.configuration:
            return [program, *others, *self.extra]
        path = self.folder / "redis.conf"
        path.write_text(self.configuration)
        return [program, path, "--port", str(self.port), "--bind", "127.0.0.1", *self.extra]


@contextmanager
def own_redis(*extra: str, configuration: str = "") -> Generator[OwnRedis]:
    """`configuration`: the content of its configuration file, in place of the usual arguments."""
    plain = OwnRedis.make()
    if not extra and not configuration:
        try:
            yield plain
        finally:
            plain.close()
        return
    plain.end()
    server = ArrangedRedis(plain.folder)
    server.program, server.extra, server.configuration = plain.program, extra, configuration
    server.start()
    try:
        yield server
    finally:
        server.close()
