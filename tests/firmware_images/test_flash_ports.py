"""Which port is meant, and why it cannot be opened: sentences that say what to do."""

import errno
import grp
import os
import subprocess
import sys

import pytest

from fieldconf_firmware_images import ports
from fieldconf_firmware_images.flash_errors import FlashError, LineLost
from fieldconf_firmware_images.serial_line import SerialLine
from support.waiting import until

ONE = ports.Port("/dev/ttyUSB0", "CP210x adapter, as on many ESP32 boards")
TWO = ports.Port("/dev/ttyACM0", "Raspberry Pi Pico with MicroPython")


@pytest.fixture
def pty():
    """Master and name of a port that nobody holds open."""
    master, held = os.openpty()
    name = os.ttyname(held)
    os.close(held)
    yield master, name
    try:
        os.close(master)
    except OSError:
        pass


def test_the_only_port_is_meant_by_auto():
    assert ports.chosen("auto", lambda: [ONE]) == "/dev/ttyUSB0"


def test_a_port_that_is_named_is_not_looked_for():
    assert ports.chosen("/dev/ttyS9", lambda: 1 / 0) == "/dev/ttyS9"


def test_several_ports_are_listed_with_what_they_are():
    with pytest.raises(FlashError) as caught:
        ports.chosen("auto", lambda: [ONE, TWO])

    assert str(caught.value) == (
        "several boards are plugged in:"
        "\n  /dev/ttyUSB0 (CP210x adapter, as on many ESP32 boards)"
        "\n  /dev/ttyACM0 (Raspberry Pi Pico with MicroPython)"
    )
    assert caught.value.hint == "name one instead of auto"


def test_no_port_at_all_makes_one_think_of_the_cable():
    with pytest.raises(FlashError, match="no board is plugged in") as caught:
        ports.chosen("auto", list)
    assert "many only charge" in caught.value.hint


def test_only_ports_on_usb_are_found_and_named(monkeypatch):
    from serial.tools import list_ports, list_ports_common

    def info(device, vid, pid, description="n/a"):
        found = list_ports_common.ListPortInfo(device)
        found.vid, found.pid, found.description = vid, pid, description
        return found

    there = [
        info("/dev/ttyUSB1", 0x1A86, 0x7523),
        info("/dev/ttyS0", None, None),
        info("/dev/ttyACM0", 0x2E8A, 0x0005),
        info("/dev/ttyACM1", 0x1234, 0x0001, "Some Board"),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: there)

    assert [str(port) for port in ports.found()] == [
        "/dev/ttyACM0 (Raspberry Pi Pico with MicroPython)",
        "/dev/ttyACM1 (Some Board)",
        "/dev/ttyUSB1 (CH340 adapter, as on many ESP boards)",
    ]


def test_a_port_that_is_not_there_is_told_with_those_that_are(monkeypatch):
    monkeypatch.setattr(ports, "found", lambda: [ONE])

    with pytest.raises(FlashError) as caught:
        SerialLine("/dev/ttyUSB77")

    assert str(caught.value) == "there is no port /dev/ttyUSB77"
    assert caught.value.hint == f"is the board plugged in? These ports are there: {ONE}"


def test_a_forbidden_port_names_group_and_command(tmp_path):
    port = tmp_path / "ttyUSB0"
    port.touch()
    group = grp.getgrgid(port.stat().st_gid).gr_name

    told = ports.not_opened(str(port), PermissionError(errno.EACCES, "Permission denied"))

    assert told.kind == "no-permission"
    assert str(told) == f"you may not open {port}: it belongs to the group {group}"
    assert told.hint == f"sudo usermod -aG {group} $USER, then log out and in again"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_forbidden_port_is_noticed_before_it_is_opened(pty):
    _, name = pty
    os.chmod(name, 0)

    with pytest.raises(FlashError, match="you may not open"):
        SerialLine(name)


def test_a_port_in_use_names_who_uses_it(pty):
    _, name = pty
    holder = subprocess.Popen(
        [sys.executable, "-c", f"f = open({name!r}); print('open', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        holder.stdout.readline()
        with pytest.raises(FlashError) as caught:
            SerialLine(name)
    finally:
        holder.communicate(b"\n", timeout=10)

    assert caught.value.kind == "busy"
    assert f"(process {holder.pid})" in str(caught.value)
    assert str(caught.value).startswith(f"{name} is in use by ")
    with SerialLine(name):
        pass


def test_two_flashers_do_not_share_a_port(pty):
    _, name = pty

    with SerialLine(name), pytest.raises(FlashError) as caught:
        SerialLine(name)

    assert caught.value.kind == "busy"


def test_the_service_that_looks_for_modems_is_known(pty):
    _, name = pty

    with pytest.raises(FlashError) as caught:
        ports.check(name, lambda port: ["ModemManager (process 7)"])

    assert "looks for modems" in caught.value.hint


def test_a_file_is_no_port(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(FlashError, match="is no serial port"):
        SerialLine(str(tmp_path / "file"))


def test_a_device_that_is_no_line_is_no_port_whoever_has_it_open():
    with pytest.raises(FlashError, match="/dev/null is no serial port"):
        ports.check("/dev/null", lambda port: 1 / 0)


def test_three_of_many_holders_are_named(pty):
    _, name = pty

    with pytest.raises(FlashError) as caught:
        ports.check(name, lambda port: [f"x (process {n})" for n in range(1, 9)])

    assert str(caught.value).endswith("x (process 3) and 5 more")


def test_who_holds_a_port_for_the_moment_of_a_start_is_no_obstacle(pty):
    seen = [["python3 (process 7)"], []]

    ports.check(pty[1], lambda port: seen.pop(0))

    assert seen == []


def test_a_line_reads_what_is_there_and_notices_its_end(pty):
    master, name = pty
    with SerialLine(name) as line:
        assert line.read(0) == b"" == line.read(0.01)
        os.write(master, b"hello")
        assert until(lambda: line.read(0.5)) == b"hello"
        line.write(b"back")
        assert os.read(master, 10) == b"back"

        os.close(master)
        with pytest.raises(LineLost, match="the cable was pulled, or it lost power"):
            until(lambda: line.read(0.1))
