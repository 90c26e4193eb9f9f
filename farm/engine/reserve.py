# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept free for a task that is ready and does not fit: smaller ones run meanwhile, without delaying it.

The method is EASY backfilling: D. Lifka, The ANL/IBM SP scheduling system (1995); A. Mu'alem and D. Feitelson,
Utilization, Predictability, Workloads, and User Runtime Estimates in Scheduling the IBM SP2 with Backfilling (2001).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

Charge = tuple[int, int, int]
"""Places for jobs, cores, bytes of memory."""


@dataclasses.dataclass(slots=True)
class Reservation:
    """``at``: when the task is expected to fit. ``spare``: what is free then besides what it takes."""

    at: float
    spare: Charge

    def admits(self, end: float, want: Charge) -> bool:
        """Whether something that is expected to end at ``end`` delays nothing."""
        return end <= self.at or fits(want, self.spare)

    def take(self, end: float, want: Charge) -> None:
        """It was started."""
        if end > self.at:
            self.spare = less(self.spare, want)


def reserve(want: Charge, free: Charge, running: Iterable[tuple[float, Charge]], now: float) -> Reservation:
    """The reservation for a task, given when everything that runs is expected to end (in the past: any moment)."""
    at = now
    for end, charge in sorted(running):
        if fits(want, free):
            break
        at, free = max(at, end), less(free, (-charge[0], -charge[1], -charge[2]))
    return Reservation(at, less(free, want))


def expected_end(began: float, seconds: float, now: float) -> float:
    """When something ends. What took longer than expected is expected to take as long again as it has."""
    elapsed = now - began
    return began + seconds if elapsed < seconds else now + elapsed


def fits(want: Charge, free: Charge) -> bool:
    """Whether there is enough of everything."""
    return all(one <= other for one, other in zip(want, free, strict=True))


def less(free: Charge, taken: Charge) -> Charge:
    """What is left."""
    return free[0] - taken[0], free[1] - taken[1], free[2] - taken[2]
