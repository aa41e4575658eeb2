"""How much of each workload is run."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sizes:
    """The peer gets a smaller W2 (its figure is a rate), stated in the report."""

    w1_steps: int = 40
    w1_rounds: int = 20
    w2_runs: int = 2_000
    w2_steps: int = 10
    w2_peer_runs: int = 100
    w2_rounds: int = 3
    w3_alone: int = 2_000
    w3_many: int = 20_000
    w3_clients: int = 50
    w3_rounds: int = 3
    w3_peer_share: int = 20
    w4_items: int = 500
    w4_rounds: int = 5
    w5_sleepers: int = 10_000
    w6_rounds: int = 5
    w7_outer: int = 1_000
    w7_inner: int = 100
    w7_store_runs: int = 1_000_000
    w7_probes: int = 200
    w9_rounds: int = 5
    w9_csv_mib: int = 100
    w9_probes: int = 300
    w8_workers: tuple[int, ...] = (1, 2, 4)
    w8_rounds: int = 3
    w8_probes: int = 100
    w8_queued: int = 100_000
    w8_hanging: int = 100
    peer_rounds: int = 5


QUICK: Final = Sizes(
    w1_steps=3,
    w1_rounds=2,
    w2_runs=5,
    w2_steps=2,
    w2_peer_runs=2,
    w2_rounds=1,
    w3_alone=5,
    w3_many=10,
    w3_clients=2,
    w3_rounds=1,
    w3_peer_share=1,
    w4_items=5,
    w4_rounds=1,
    w5_sleepers=5,
    w6_rounds=1,
    w7_outer=20,
    w7_inner=10,
    w7_store_runs=200,
    w7_probes=3,
    w9_rounds=1,
    w9_csv_mib=1,
    w9_probes=2,
    w8_workers=(1,),
    w8_rounds=1,
    w8_probes=2,
    w8_queued=500,
    w8_hanging=2,
    peer_rounds=1,
)
