"""What the tests of the console share: a browser for all of them, a page for each."""

import pytest

from support import browser as browsers
from support.rest import served


# Not for the session: Playwright leaves a running event loop in this thread, which tests of other
# parts must not find.
@pytest.fixture(scope="module")
def browser():
    with browsers.browser() as opened:
        yield opened


@pytest.fixture
def page(browser):
    with browsers.page(browser) as opened:
        opened.set_default_timeout(20_000)
        yield opened


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One coordinator for the tests of a module that do not mind each other."""
    with served(tmp_path_factory.mktemp("running") / "data", dev=True) as fleet:
        yield fleet


@pytest.fixture
def fleet(tmp_path):
    with served(tmp_path / "data", dev=True) as fleet:
        yield fleet
