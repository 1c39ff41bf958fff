"""Threads that call targets."""

import threading
import time

from fieldconf_coordinator.service.workers import Workers
from fieldconf_targets import registry
from fieldconf_targets.memory import MemoryTarget

THREADS = 8


class SlowTarget(MemoryTarget):
    """Takes a moment to be made, as one does that connects to a cloud."""

    def __init__(self, fleet, folder):
        time.sleep(0.01)
        super().__init__(fleet, folder)


def test_threads_that_need_a_target_at_once_share_one(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "target_class", lambda handler: SlowTarget)
    workers = Workers("fleet", tmp_path, lambda node, settings: {}, lambda: None)
    together = threading.Barrier(THREADS)
    found = []

    def look():
        together.wait()
        found.append(workers.target("slow"))

    threads = [threading.Thread(target=look) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workers.close()

    assert len(found) == THREADS
    assert len(set(map(id, found))) == 1
