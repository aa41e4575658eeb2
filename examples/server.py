"""A small server to try the examples against: `python examples/server.py`. It needs nothing but Python.

    POST /countries/CODE      a greeting; fails at random (--fail 0.3: three of ten answer 503)
    POST /stock/reservations  a reservation; DELETE /stock/reservations/ID releases it
    POST /charges             402 for an amount above --limit, else a receipt
    POST /messages            202

Each line that it prints is a request: time, method, path, status, and the beginning of the Idempotency-Key. A request with a key that was
answered before gets the same answer, as a careful service does it.
"""

import argparse
import json
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, object]]


class ShopServer(ThreadingHTTPServer):
    """`fail_ratio` of the calls about countries fail with 503; charges above `charge_max` are declined."""

    daemon_threads = True

    def __init__(self, port: int, *, fail_ratio: float = 0.0, charge_max: float = 500) -> None:
        super().__init__(("127.0.0.1", port), ShopHandler)
        self.fail_ratio = fail_ratio
        self.charge_max = charge_max
        self.answers: dict[str, Answer] = {}
        self.reserved: list[str] = []
        self.released: list[str] = []
        self.receipts: list[str] = []

    def answer(self, method: str, path: str, body: dict[str, object], key: str) -> Answer:
        known = self.answers.get(key)
        if known is not None:
            return known
        made = self._act(method, path, body)
        if key and made[0] < 500:
            self.answers[key] = made
        return made

    def _act(self, method: str, path: str, body: dict[str, object]) -> Answer:
        match method, path.strip("/").split("/"):
            case "POST", ["countries", code]:
                return self._greet(code)
            case "POST", ["stock", "reservations"]:
                self.reserved.append(f"r-{len(self.reserved) + 1}")
                return 201, {"id": self.reserved[-1], "sku": body.get("sku")}
            case "DELETE", ["stock", "reservations", name]:
                self.released.append(name)
                return 200, {"released": name}
            case "POST", ["charges"]:
                return self._charge(body)
            case "POST", ["messages"]:
                return 202, {"accepted": True}
        return 404, {"error": f"There is nothing at {path}."}

    def _greet(self, code: str) -> Answer:
        if random.random() < self.fail_ratio:  # noqa: S311 (no secret)
            return 503, {"error": "Try again."}
        return 200, {"code": code, "greeting": f"Hello {code}"}

    def _charge(self, body: dict[str, object]) -> Answer:
        amount = body.get("amount")
        if isinstance(amount, int | float) and amount <= self.charge_max:
            self.receipts.append(f"c-{len(self.receipts) + 1}")
            return 201, {"receipt": self.receipts[-1], "amount": amount}
        return 402, {"error": "The card was declined."}


class ShopHandler(BaseHTTPRequestHandler):
    """Reads a request, lets the server answer it, and prints a line."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ShopServer

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        key = self.headers.get("Idempotency-Key", "")
        status, value = self.server.answer(self.command, self.path, json.loads(data or b"{}"), key)
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        del size
        key = self.headers.get("Idempotency-Key", "")[:8]
        print(time.strftime("%H:%M:%S"), f"{self.command:6} {self.path:32} {int(code)}  key {key}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="A small server to try FlowForge's examples against.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--fail", type=float, default=0.3, help="share of the calls about countries that fail")
    parser.add_argument("--limit", type=float, default=500, help="charges above it are declined")
    options = parser.parse_args()
    with ShopServer(options.port, fail_ratio=options.fail, charge_max=options.limit) as server:
        print(f"http://127.0.0.1:{server.server_port} answers; Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Ended.")


if __name__ == "__main__":
    main()
