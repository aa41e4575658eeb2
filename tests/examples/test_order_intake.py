"""The example `order-intake`: what a failed charge undoes, and in which order."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.installed import EXAMPLES, Installed, open_installed
from tests.support.servers import EffectServer, Received, Reply, json_reply, serve_http

from flowforge.kit.values import JsonObject

FOLDER = EXAMPLES / "order-intake"
WORKFLOW = FOLDER / "order-intake.yaml"


@dataclass
class Shop:
    """Stock, charges and messages. `log` holds what was asked for, in order."""

    server: EffectServer
    place: Installed
    charge_status: int = 201
    log: list[str] = field(default_factory=list[str])
    messages: list[str] = field(default_factory=list[str])

    def open(self) -> "Shop":
        self.server.on("/stock/reservations", self._reserve)
        for number in range(1, 4):
            self.server.on(f"/stock/reservations/r-{number}", self._release)
        self.server.on("/charges", self._charge)
        self.server.on("/messages", self._tell)
        return self

    def _reserve(self, request: Received) -> Reply:
        self.log.append(f"reserve {json.loads(request.body)['sku']}")
        return json_reply({"id": f"r-{len(self.log)}"}, 201)

    def _release(self, request: Received) -> Reply:
        self.log.append(f"{request.method} {request.path.rpartition('/')[2]}")
        return json_reply({})

    def _charge(self, request: Received) -> Reply:
        self.log.append("charge")
        return json_reply({"receipt": "c-1"}, self.charge_status)

    def _tell(self, request: Received) -> Reply:
        self.log.append("message")
        self.messages.append(json.loads(request.body)["text"])
        return json_reply({}, 202)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncGenerator[Shop]:
    async with serve_http() as server, open_installed(tmp_path, EGRESS_ALLOW=f"127.0.0.1:{server.port}") as place:
        yield Shop(server, place).open()


def read_order(name: str, shop: Shop) -> JsonObject:
    order: JsonObject = json.loads((FOLDER / name).read_text("utf-8"))
    return {**order, "shop": shop.server.url}


async def test_an_order_is_reserved_charged_and_confirmed(shop: Shop):
    ended = await shop.place.run(WORKFLOW, read_order("order.json", shop))
    assert ended.status == "completed"
    assert ended.output == {"reservations": ["r-1", "r-2", "r-3"], "receipt": "c-1"}
    assert shop.log == ["reserve lamp", "reserve bulb", "reserve cable", "charge", "message"]
    assert shop.messages == ["Order A-1001 is on its way; your receipt is c-1."]
    assert "~finally/note" in ended.steps()


async def test_reservations_are_released_in_reverse_when_the_charge_is_declined(shop: Shop):
    shop.charge_status = 402
    ended = await shop.place.run(WORKFLOW, read_order("order-too-large.json", shop))
    assert (ended.status, ended.error["code"], ended.error["step"]) == ("failed", "http_402", "charge")
    assert shop.log == [
        *["reserve lamp", "reserve bulb", "reserve cable", "charge"],
        *["DELETE r-3", "DELETE r-2", "DELETE r-1"],
        "message",
    ]
    assert shop.messages == ["We could not take order A-1002; nothing was charged."]
    assert ended.steps()[-2:] == ["~on_failure/apologise", "~finally/note"]
    assert "uncompensated" not in ended.events[-1]


async def test_a_release_that_fails_is_listed_and_the_others_go_on(shop: Shop):
    shop.charge_status = 402
    shop.server.on("/stock/reservations/r-2", Reply(410))
    ended = await shop.place.run(WORKFLOW, read_order("order-too-large.json", shop))
    assert shop.log[4:] == ["DELETE r-3", "DELETE r-1", "message"]
    uncompensated = ended.events[-1]["uncompensated"]
    assert isinstance(uncompensated, list)
    assert len(uncompensated) == 1
    assert "items.1/reserve" in json.dumps(uncompensated[0])
