"""Which target is behind a handler."""

import pytest

from fieldconf_targets import registry
from fieldconf_targets.api import Setting, Target, TargetError, values


def test_every_built_in_handler_names_its_own_class():
    for handler in registry.BUILT_IN:
        assert registry.target_class(handler).handler == handler


def test_unknown_handler_is_refused_with_those_that_are_known():
    with pytest.raises(
        TargetError, match="no target 'cloud'; known are embedded, local, memory, serial"
    ):
        registry.target_class("cloud")


def test_plugin_that_is_no_target_is_refused():
    with pytest.raises(TargetError, match="is not a subclass of Target"):
        registry.checked(dict, "odd")


class Limited(Target):
    handler = "limited"
    settings = (Setting("limit", int, 3, "a whole number"),)


def test_values_are_typed_and_defaults_filled_in():
    assert values(Limited, {}) == {"limit": 3}
    assert values(Limited, {"limit": "7", "other": "x"}) == {"limit": 7}


def test_refused_value_names_key_value_and_meaning():
    with pytest.raises(TargetError) as caught:
        values(Limited, {"limit": "many"})

    assert str(caught.value) == (
        "cannot use limit = 'many' for target limited: expected a whole number"
    )
