"""Serial ports: what keeps one from being opened is said, and a board is found where it is now."""

import errno
import os
import pty
from types import SimpleNamespace

import pytest

from fieldconf_targets.bridge_ports import Port, PortError

serial = pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")


@pytest.fixture
def device():
    """Return the path of a port."""
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def usb(device, number):
    return SimpleNamespace(device=device, vid=0x2E8A, pid=5, serial_number=number)


def test_port_is_opened_for_one_alone(device):
    port = Port(device, ports=list)
    opened = port.open()

    with pytest.raises(PortError) as caught:
        Port(device, ports=list).open()

    assert caught.value.is_taken
    assert f"{device} is in use by process {os.getpid()} (" in str(caught.value)
    opened.close()
    port.open().close()


@pytest.mark.parametrize(("speed", "wanted"), [("", 115200), ("@9600", 9600)])
def test_port_is_as_fast_as_said(device, speed, wanted):
    opened = Port(device + speed, ports=list).open()

    assert (opened.name, opened.baudrate) == (device, wanted)
    opened.close()


def test_missing_port_is_told(tmp_path):
    with pytest.raises(PortError, match=r"none is not there: is the board plugged in\?"):
        Port(str(tmp_path / "none"), ports=list).open()


def test_lack_of_permission_says_what_to_do(device, monkeypatch):
    def refuse(*_, **__):
        raise serial.SerialException(errno.EACCES, "Permission denied")

    monkeypatch.setattr(serial, "Serial", refuse)

    with pytest.raises(PortError, match=r"add yourself to the group '\w+'"):
        Port(device, ports=list).open()


def test_file_that_is_no_port_is_told(tmp_path):
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(PortError, match=r"cannot open .*file"):
        Port(str(file), ports=list).open()


def test_board_is_found_at_another_port_by_its_number(device, tmp_path):
    path = tmp_path / "ttyACM0"
    path.symlink_to(device)
    boards = [usb(str(path), "e66"), usb("/dev/other", "e67")]
    port = Port(str(path), ports=lambda: boards)
    port.open().close()

    path.unlink()
    boards[:] = [usb("/dev/other", "e67"), usb(device, "e66")]

    opened = port.open()
    assert opened.name == device
    opened.close()


def test_another_board_at_another_port_is_left_alone(device, tmp_path):
    path = tmp_path / "ttyACM0"
    path.symlink_to(device)
    boards = [usb(str(path), None)]
    port = Port(str(path), ports=lambda: boards)
    port.open().close()

    path.unlink()
    boards[:] = [usb(device, None)]

    with pytest.raises(PortError, match="ttyACM0 is not there"):
        port.open()
