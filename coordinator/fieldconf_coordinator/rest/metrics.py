"""Metrics in Prometheus' text format."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 2.5)

Labels = Mapping[str, str]
#: name, kind, help, [(labels, value), …]
Family = tuple[str, str, str, list[tuple[Labels, float]]]


class Requests:
    """Counts what was asked, by route and status, and how long it took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, int], int] = {}
        self._buckets: dict[float, int] = dict.fromkeys(_BOUNDS_S, 0)
        self._count = 0
        self._sum = 0.0

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (method if len(method) < 10 else "?", route, status)
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1
            self._count += 1
            self._sum += seconds
            for bound in _BOUNDS_S:
                if seconds <= bound:
                    self._buckets[bound] += 1

    def families(self) -> list[Family]:
        """Return what was counted."""
        with self._lock:
            counts = sorted(self._counts.items())
            buckets: list[tuple[Labels, float]] = [
                ({"le": str(b)}, float(n)) for b, n in self._buckets.items()
            ]
            count, total = float(self._count), self._sum
        answers: list[tuple[Labels, float]] = [
            ({"method": method, "route": route, "status": str(status)}, float(n))
            for (method, route, status), n in counts
        ]
        name = "fieldconf_http_request_seconds"
        return [
            ("fieldconf_http_requests_total", "counter", "Requests by route and status.", answers),
            (
                name,
                "histogram",
                "Time to answer.",
                [
                    *[({"": "_bucket", **labels}, value) for labels, value in buckets],
                    ({"": "_bucket", "le": "+Inf"}, count),
                    ({"": "_sum"}, total),
                    ({"": "_count"}, count),
                ],
            ),
        ]


def fleet(overview: Mapping[str, Any], states: Mapping[str, Mapping[str, int]]) -> list[Family]:
    """Return the metrics of a fleet from its overview, and the instances' states by application."""
    nodes, dropped = overview["nodes"], overview["dropped"]
    return [
        (
            "fieldconf_nodes",
            "gauge",
            "Nodes, by whether they are online.",
            [
                ({"online": "true"}, nodes["online"]),
                ({"online": "false"}, nodes["total"] - nodes["online"]),
            ],
        ),
        (
            "fieldconf_instances",
            "gauge",
            "Instances by application and state.",
            [
                ({"application": app, "state": state}, count)
                for app, counts in sorted(states.items())
                for state, count in sorted(counts.items())
            ],
        ),
        one(
            "fieldconf_instances_unsettled",
            "Instances that are not where they are wished.",
            overview["instances"]["total"] - overview["instances"]["settled"],
        ),
        one(
            "fieldconf_instances_with_problem",
            "Instances with a problem.",
            overview["instances"]["problems"],
        ),
        one("fieldconf_applications", "Applications.", overview["applications"]),
        one("fieldconf_changes_running", "Changes that are under way.", overview["changes"]),
        one(
            "fieldconf_broker_connected",
            "1 while there is a connection to the broker.",
            int(overview["broker"]["connected"]),
        ),
        one(
            "fieldconf_messages_dropped_total",
            "Messages that were refused.",
            sum(dropped.values()),
            "counter",
        ),
    ]


def one(name: str, text: str, value: float, kind: str = "gauge") -> Family:
    """Return a metric without labels."""
    return (name, kind, text, [({}, value)])


def render(families: Iterable[Family]) -> bytes:
    """Return the text."""
    lines = []
    for name, kind, text, samples in families:
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        for labels, value in samples:
            suffix = labels.get("", "")
            shown = ",".join(f'{k}="{_escaped(v)}"' for k, v in labels.items() if k)
            lines.append(
                f"{name}{suffix}{{{shown}}} {value:g}" if shown else f"{name}{suffix} {value:g}"
            )
    return ("\n".join(lines) + "\n").encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
