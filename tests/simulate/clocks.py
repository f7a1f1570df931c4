"""A clock that no busy machine can make jump."""


class StepClock:
    """Stands for a `Clock`: moves on whenever it is asked; `last` is what it said then."""

    def __init__(self, start: int, step_ms: int, pace: float = 1.0) -> None:
        self.pace = pace
        self.last = start
        self._step_ms = step_ms

    def now_ms(self) -> int:
        self.last += self._step_ms
        return self.last
