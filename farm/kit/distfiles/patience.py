# SPDX-License-Identifier: GPL-3.0-or-later
"""Further tries after what may pass: with growing, random pauses, and none once the run is called off."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from farm.spec.problem import FarmError

Answer = TypeVar("Answer")

ATTEMPTS = 4
_FIRST_DELAY = 0.3
_LONGEST_DELAY = 10.0


def patiently(work: Callable[[], Answer], cancel: threading.Event | None = None) -> Answer:
    """What ``work`` gives, tried again after a transient FarmError, `ATTEMPTS` times at the most."""
    import tenacity

    stopped = cancel or threading.Event()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda fault: isinstance(fault, FarmError) and fault.transient),
        stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_when_event_set(stopped),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_DELAY, max=_LONGEST_DELAY),
        sleep=tenacity.sleep_using_event(stopped),
        reraise=True,
    )
    answer: Answer = retrying(work)
    return answer
