"""How hard the properties try: CALLBOARD_EXAMPLES=50 makes every run fifty times as long."""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

# Explaining a failure traces every line of the oracle, for minutes.
PHASES = [phase for phase in Phase if phase is not Phase.explain]
FACTOR = float(os.environ.get("CALLBOARD_EXAMPLES", "1"))


def examples(number: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The number of examples of a usual run; a failure prints how to repeat it."""
    return settings(
        max_examples=max(1, round(number * FACTOR)),
        deadline=None,
        phases=PHASES,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
