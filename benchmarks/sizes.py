"""How much of everything a run does."""

from __future__ import annotations

import msgspec


class Sizes(msgspec.Struct, frozen=True):
    """The numbers of a run. Every figure is per operation, so a smaller run only has more noise."""

    rounds: int = 3
    """How often each measure is taken; the median counts."""
    records: int = 1000
    """Single points added, computed and read."""
    lazy: int = 50
    """Records whose fields are fetched one by one."""
    actions: int = 2000
    """Records that people act on."""
    many: int = 100_000
    """Records of one action, by id and by filter."""
    others: int = 1_000_000
    """Records among which these are."""
    optimizations: int = 100
    steps: int = 5
    output_bytes: int = 20_000
    chunk: int = 500
    """Records of one call that adds."""
    claim: int = 100
    """Tasks of one claim."""
    clients: int = 4
    queues: tuple[int, int] = (1_000, 50_000)
    """Lengths of the queue, the first being what the others are compared with."""
    claims: int = 10
    """Claims of 50 at each length."""
    million: int = 1_000_000
    claimed_under_snapshot: int = 200_000
    gfn2: int = 500
    gfn2_peer: int = 500
    """The peer needs two seconds of CPU for each."""
    services: int = 500
    """Composite records of each kind added; at most what one call may add."""
    drives: int = 5
    """Torsion drives run one after the other."""
    iterations: int = 3
    """Batches of a torsion drive that the peer is watched for at its default settings, one a minute; 0: not at all."""
    running: tuple[int, int] = (100, 5_000)
    """Torsion drives under way: those advanced, and these with all others."""


FULL = Sizes()
QUICK = Sizes(
    rounds=1, records=300, lazy=20, actions=300, many=10_000, others=20_000, optimizations=20, queues=(1_000, 10_000),
    claims=4, million=100_000, claimed_under_snapshot=20_000, gfn2=60, gfn2_peer=4,
    services=100, drives=1, iterations=0, running=(50, 500),
)  # fmt: skip
WARM_UP = Sizes(
    rounds=1, records=60, lazy=5, actions=60, many=0, others=0, optimizations=10, clients=2, queues=(200, 200),
    claims=2, million=200, claimed_under_snapshot=20, gfn2=0, gfn2_peer=0,
    services=0, drives=0, iterations=0, running=(0, 0),
)  # fmt: skip
"""Not measured: imports, plans and caches that a server in use has long paid for."""
