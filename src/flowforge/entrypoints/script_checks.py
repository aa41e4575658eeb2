"""Scripts are read when a document is checked: in the sandbox, because reading a hostile text is a risk too."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from flowforge.kit.limits import Limits
from flowforge.kit.sandbox.errors import SandboxError
from flowforge.kit.sandbox.pool import SandboxPool
from flowforge.language.code_checks import CodeFault
from flowforge.operations.definition import Operation

_JAVASCRIPT: Final = "script.javascript"


def check_script(operation: Operation, text: str, limits: Limits) -> CodeFault | None:
    """What is wrong with the source of a script. Those in Python are not looked at: their faults show when they run."""
    if operation.name != _JAVASCRIPT:
        return None
    # In a thread of its own, because the caller may be inside an event loop.
    with ThreadPoolExecutor(1) as thread:
        error = thread.submit(asyncio.run, _check(text, limits)).result()
    return None if error is None else CodeFault(error.fault.value, error.message)


async def _check(source: str, limits: Limits) -> SandboxError | None:
    pool = SandboxPool(limits, size=1)
    try:
        return await pool.check_javascript(source)
    finally:
        await pool.aclose()
