"""The pure core: journal and definition in, next commands out. No I/O, no clock, no randomness.

`RunState(program, started, at)` begins; `fold` applies an event; a `TurnSheet` collects a turn: `record` writes an outcome's events,
`decide` what follows from the state.
"""

from flowforge.engine.machine.deciding import decide
from flowforge.engine.machine.folding import fold
from flowforge.engine.machine.recording import record
from flowforge.engine.machine.sheet import TurnSheet
from flowforge.engine.machine.state import Program, RunState

__all__ = ["Program", "RunState", "TurnSheet", "decide", "fold", "record"]
