"""Random `kill -9` of the real process, against an effect server that counts and fails at random.

`python -m tests.chaos.kill9 --kills 1000 [--seed N] [--folder DIR]`: starts runs, kills `flowforge runs continue` at random moments until
the kills are spent, lets the rest end, and holds three witnesses against each other: the database, the server's log, and what the
command line acknowledged. Prints a line of JSON; exits with 1 if anything is wrong.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.support.checker import Acknowledged, Request, Witnesses, check
from tests.support.installed import Shell
from tests.support.servers import EffectServer, serve_in_thread

CALLS: Final = 150
LATER_MS: Final = 2**60
DOCUMENT: Final = """flowforge: 1
name: chaos
input: {{type: object, properties: {{calls: {{type: integer}}}}}}
steps:
  - id: each
    uses: flow.foreach
    with: {{items: "${{{{ lists.range(input.calls) }}}}", concurrency: 4}}
    steps:
      - id: call
        uses: http.request
        with: {{url: "{url}/n", query: {{n: "${{{{ item }}}}"}}}}
        retry: {{attempts: 50, initial: 5ms, backoff: fixed}}
    output: "${{{{ steps.call.output.status }}}}"
  - {{id: nap, uses: flow.wait, with: {{for: 50ms}}}}
  - {{id: last, uses: http.request, with: {{url: "{url}/last"}}, retry: {{attempts: 50, initial: 5ms, backoff: fixed}}}}
output: "${{{{ size(steps.each.output) }}}}"
"""


@dataclass
class Chaos:
    """One session: a data folder, a server, and the runs that were acknowledged."""

    shell: Shell
    server: EffectServer
    random: Random
    runs: list[str] = field(default_factory=list[str])
    kills: int = 0

    def start_run(self) -> None:
        started = self.shell.call("run", "chaos.yaml", "--input", json.dumps({"calls": CALLS}), "--detach")
        self.runs.append(str(started[-1]["run_id"]))

    def live_and_die(self) -> bool:
        """Lets the engine work for a random time, then kills it. False: it had ended before, all runs were done."""
        process = self.shell.begin("runs", "continue")
        deadline_s = time.monotonic() + self.random.uniform(0.2, 1.4)
        while process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.005)
        if process.poll() is not None:
            return False
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.kills += 1
        return True

    def inspect(self) -> list[str]:
        """What the witnesses say against each other, once all runs have ended."""
        rows = {str(row["id"]): str(row["status"]) for row in self.shell.call("runs", "list", "--limit", "200")}
        faults = [f"{run} is {rows.get(run, 'lost')}" for run in self.runs[-200:] if rows.get(run) != "completed"]
        requests = number_requests([request.headers["idempotency-key"] for request in self.server.received])
        acknowledged = [Acknowledged(run, "start") for run in self.runs]
        witnesses = Witnesses(requests=requests, served={"call", "last"}, acknowledged=acknowledged)
        found = check(self.shell.folder / "data" / "flowforge.db", witnesses)
        return faults + [f"{fault.invariant} {fault.run}: {fault.message}" for fault in found]


def number_requests(keys: list[str]) -> list[Request]:
    """The attempt is no header of ours: the n-th request of a key cannot be an earlier attempt than the n-th. Times are not compared."""
    seen: Counter[str] = Counter()
    requests: list[Request] = []
    for key in keys:
        seen[key] += 1
        requests.append(Request(key, seen[key], LATER_MS))
    return requests


def run_chaos(folder: Path, kills: int, seed: int, runs_at_once: int = 2) -> dict[str, object]:
    """Kills that many times; returns what was done and what was wrong."""
    with serve_in_thread() as server:
        server.fail_ratio = 0.1
        settings = {"EGRESS_ALLOW": "127.0.0.1", "LIMIT_POISON_LIMIT": "100", "BEAT": "1s", "EXPIRY": "3s"}
        chaos = Chaos(Shell(folder, settings, folder), server, Random(seed))
        (folder / "chaos.yaml").write_text(DOCUMENT.format(url=server.url))
        while chaos.kills < kills:
            for _ in range(runs_at_once):
                chaos.start_run()
            while chaos.kills < kills and chaos.live_and_die():
                pass
        chaos.shell.call("runs", "continue")
        return {
            "seed": seed,
            "kills": chaos.kills,
            "runs": len(chaos.runs),
            "requests": len(server.received),
            "effective": server.effects,
            "faults": chaos.inspect(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.chaos.kill9")
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        report = run_chaos(options.folder or Path(place), options.kills, options.seed)
    sys.stdout.write(json.dumps(report) + "\n")
    sys.exit(1 if report["faults"] else 0)


if __name__ == "__main__":
    main()
