"""How long to wait before a failed step is tried again.

Pure arithmetic: the randomness (`spread`, a fraction from 0 to 1) is an argument.
"""

# Seconds after the first, the second ... failure of a step, then for ever RESTING_S.
_STEP_S = (1, 2, 4, 8, 16, 32, 60)
_RESTING_S = 300


def pause_ms(failures: int, spread: float) -> int:
    """Return how long to wait after a step failed `failures` times in a row (1 or more).

    Up to a quarter is added by `spread`, so that nodes that failed together do not return together.
    """
    seconds = _RESTING_S if resting(failures) else _STEP_S[failures - 1]
    return int(seconds * (1000 + 250 * spread))


def resting(failures: int) -> bool:
    """Tell whether so many failures leave only the slow pace, every 5 minutes."""
    return failures > len(_STEP_S)
