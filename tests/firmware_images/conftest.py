"""Compiling the agent takes a second: images under test share one, but where it is the point."""

import pytest

from fieldconf_firmware_images import agent_files
from support import interpreters


@pytest.fixture(scope="session")
def compiled_agent():
    interpreters.find("mpy-cross")
    return agent_files.agent()


@pytest.fixture
def agent(compiled_agent, monkeypatch):
    """Return the files of the agent, which images contain from now on."""
    pytest.importorskip("littlefs", reason="needs littlefs-python: pip install 'fieldconf[test]'")
    monkeypatch.setattr(agent_files, "agent", lambda: compiled_agent)
    return compiled_agent
