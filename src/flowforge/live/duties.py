"""Work in the background; each pass may be repeated, and made by several processes at once.

`DispatchDuty`: each second, makes deliveries and notifications of new events. `DeliveryDuty`: each second, sends what is due.
"""

from typing import Final

from flowforge.live.delivering import DeliveryDuty
from flowforge.live.dispatching import DispatchDuty

__all__ = ["LIVE_EVERY_MS", "DeliveryDuty", "DispatchDuty"]

LIVE_EVERY_MS: Final = 1_000
