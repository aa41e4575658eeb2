"""Asks a health page of the process in this container; for images that have no curl.

    python healthcheck.py /ready

Exit code 0: it answered 200. Else 1, and what it said is on standard error.
"""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4


def ask(page: str) -> str | None:
    """What hinders it; None: nothing does."""
    url = f"http://127.0.0.1:{os.environ.get('FLOWFORGE_HEALTH_PORT', '8080')}{page}"
    # Not by the environment's proxy, which leads to the outside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            answer.read()
    except urllib.error.HTTPError as fault:
        with fault:
            return f"{fault.code}: {fault.read(2_000).decode(errors='replace')}"
    except OSError as fault:
        return str(fault)
    return None


if __name__ == "__main__":
    hindrance = ask(sys.argv[1] if len(sys.argv) > 1 else "/ready")
    sys.exit(hindrance)
