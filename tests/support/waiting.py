"""Waiting for a condition, with a deadline that only a broken test reaches."""

import time


def until(condition, patience_s=20.0, pause_s=0.01):
    """Return what `condition` answers as soon as that is true; fail after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"never came true: {condition}"
        time.sleep(pause_s)
