"""Blinks: the board's own LED, or a line in the log where there is none."""


class Lamp:
    """Switched by `toggle`; `pin` is None where there is no LED."""

    def __init__(self, log):
        self.pin = led()
        self.log = log
        self.is_on = False

    def toggle(self):
        self.is_on = not self.is_on
        if self.pin:
            self.pin.value(self.is_on)
        else:
            self.log("on" if self.is_on else "off")


def led():
    """Return the pin of the LED, None where there is none or nobody knows its number."""
    try:
        from machine import Pin

        return Pin("LED", Pin.OUT)
    except (ImportError, AttributeError, ValueError, TypeError):
        return None


def start(instance):
    lamp = Lamp(instance.log)
    instance.log("blinking on " + instance.node + ("" if lamp.pin else ", which has no LED"))
    instance.every(int(instance.exports["period"]), lamp.toggle)


def stop(instance):
    pin = led()
    if pin:
        pin.value(False)
