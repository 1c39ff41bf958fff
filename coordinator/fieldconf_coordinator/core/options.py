"""Durations as people write them, and the settings that are durations."""

import re
from collections.abc import Mapping

from ..errors import FleetError

_UNITS_MS = {"ms": 1, "": 1000, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d|)")
_LONGEST_MS = 366 * 86_400_000

LOST_AFTER_MS = 60_000

# Name in templates and data → key in the options of a want's entry.
STEP_OPTIONS = {"timeout": "timeout", "check.every": "check"}


def duration_ms(text: str, what: str) -> int:
    """Return the ms that `text` means: ``500ms``, ``1s``, ``10m``, or plain seconds.

    Raises:
        FleetError: it means nothing; `what` names the setting.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) * _UNITS_MS[match[2]] > _LONGEST_MS:
        raise FleetError(
            "bad-duration",
            f"{what} is not a duration: {text!r}",
            "write a number and a unit, such as 500ms, 2s or 10m",
        )
    return round(float(match[1]) * _UNITS_MS[match[2]])


def lost_after_ms(settings: Mapping[str, str]) -> int:
    """Return how long the exports of a silent node count."""
    text = settings.get("lost-after")
    return LOST_AFTER_MS if text is None else duration_ms(text, "lost-after")


def step_options(settings: Mapping[str, str], component: str) -> dict[str, int]:
    """Return the options that a template sets for a component, or for all."""
    options = {}
    for name, key in STEP_OPTIONS.items():
        for setting in (f"{component}.{name}", name):
            if setting in settings:
                options[key] = duration_ms(settings[setting], setting)
                break
    return options


def instance_options(kind_options: Mapping[str, int], data: Mapping[str, str]) -> Mapping[str, int]:
    """Return the options of one instance, whose ``data.*`` comes before the template's settings."""
    own = {k: duration_ms(data[n], "data." + n) for n, k in STEP_OPTIONS.items() if n in data}
    return {**kind_options, **own} if own else kind_options
