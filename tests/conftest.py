"""What all tests share.

A test that needs something that the machine lacks is skipped with a reason that begins with
"needs "; with FIELDCONF_REQUIRE_ALL=1, as in .ci/run, such a skip is a failure.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow, which is no failure; nor is an input that has to be drawn again.
settings.register_profile(
    "fieldconf",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("fieldconf")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if (
        report.skipped
        and os.environ.get("FIELDCONF_REQUIRE_ALL")
        and not hasattr(report, "wasxfail")
    ):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "needs " in reason:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, which must not happen here: {reason}"
