"""UF2 files onto a boot loader's drive: a folder, and a thread that does what the board would."""

import shutil
import threading
import time

import pytest

from fieldconf_firmware_images import flash_uf2
from fieldconf_firmware_images.flash_errors import FlashError, LineLost

CONTENT = b"UF2\n" * 60_000
INFO = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: %s\r\n"


class Boards:
    """What is plugged in: drives with their devices, and the kernel's list of mounts."""

    def __init__(self, folder):
        self.folder = folder
        self.mounts = folder / "mounts"
        self.mounts.write_text("/dev/root / ext4 rw 0 0\nserver:/x /net nfs rw 0 0\n")

    def plug(self, board="RPI-RP2", name="a drive"):
        drive, device = self.folder / name, self.folder / f"{name}.device".replace(" ", "-")
        drive.mkdir()
        device.touch()
        (drive / "INFO_UF2.TXT").write_text(INFO % board)
        with self.mounts.open("a") as file:
            file.write(f"{device} {str(drive).replace(' ', chr(92) + '040')} vfat rw 0 0\n")
        return flash_uf2.Drive(drive, device, board)

    def there(self):
        return flash_uf2.drives(self.mounts)


@pytest.fixture
def boards(tmp_path):
    return Boards(tmp_path)


@pytest.fixture
def board_that_starts(boards):
    """A drive whose board starts when it has the whole file; yields it and what it took."""
    drive = boards.plug()
    file, taken = drive.folder / "fieldconf.uf2", []

    def run():
        while not (file.exists() and file.stat().st_size == len(CONTENT)):
            time.sleep(0.005)
        taken.append(file.read_bytes())
        drive.device.unlink()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield drive, taken
    thread.join(10)


def test_the_drive_is_found_by_what_its_file_says(boards):
    drive = boards.plug()
    stick = boards.folder / "stick"
    stick.mkdir()
    with boards.mounts.open("a") as file:
        file.write(f"/dev/sdz1 {stick} vfat rw 0 0\n")

    assert boards.there() == [drive]
    assert flash_uf2.chosen("RPI-RP2", boards.there()) == drive


def test_the_file_is_copied_and_the_board_starts(board_that_starts):
    drive, taken = board_that_starts
    told = []

    flash_uf2.flash(drive, "RPI-RP2", CONTENT, lambda *news: told.append(news))

    assert taken == [CONTENT]
    assert told[-1] == ("writing", len(CONTENT), len(CONTENT)) and len(told) == 4


def test_a_board_that_does_not_start_is_told(boards):
    with pytest.raises(FlashError, match="does not start it") as caught:
        flash_uf2.flash(boards.plug(), "RPI-RP2", CONTENT, patience_s=0)

    assert caught.value.kind == "verify"


def test_a_cable_pulled_in_between_is_told(boards):
    drive = boards.plug()

    def pull(what, done, total):
        drive.device.unlink()
        shutil.rmtree(drive.folder)
        raise OSError(5, "Input/output error")

    with pytest.raises(LineLost) as caught:
        flash_uf2.flash(drive, "RPI-RP2", CONTENT, pull)
    assert str(caught.value) == f"the drive {drive.folder} vanished before it had the whole file"


def test_a_board_that_leaves_with_the_last_block_has_everything(boards):
    drive = boards.plug()

    def start(what, done, total):
        if done == total:
            drive.device.unlink()
            raise OSError(5, "Input/output error")

    flash_uf2.flash(drive, "RPI-RP2", CONTENT, start)


def test_a_drive_that_may_not_be_written_is_told(boards):
    drive = boards.plug()

    def refuse(what, done, total):
        raise OSError(30, "Read-only file system")

    with pytest.raises(FlashError, match="you may not write") as caught:
        flash_uf2.flash(drive, "RPI-RP2", CONTENT, refuse)
    assert caught.value.kind == "no-permission"


def test_another_boards_drive_is_refused(boards):
    drive = boards.plug("RP2350")

    for act in (
        lambda: flash_uf2.chosen("RPI-RP2", boards.there()),
        lambda: flash_uf2.flash(drive, "RPI-RP2", CONTENT),
    ):
        with pytest.raises(FlashError, match="is of the board RP2350, the image is for RPI-RP2"):
            act()
    assert not (drive.folder / "fieldconf.uf2").exists()


def test_several_drives_are_listed(boards):
    drives = [boards.plug(name="one"), boards.plug(name="two")]

    with pytest.raises(FlashError) as caught:
        flash_uf2.chosen("RPI-RP2", boards.there())

    assert str(caught.value) == "there are several drives RPI-RP2:" + "".join(
        f"\n  {drive.folder}" for drive in drives
    )


def test_without_a_drive_the_button_is_named(boards):
    with pytest.raises(FlashError, match="no drive RPI-RP2 is there") as caught:
        flash_uf2.chosen("RPI-RP2", [], labels=boards.folder)
    assert "BOOTSEL" in caught.value.hint


def test_a_drive_that_is_not_mounted_is_seen(boards):
    (boards.folder / "RPI-RP2").touch()

    with pytest.raises(FlashError, match="not mounted") as caught:
        flash_uf2.chosen("RPI-RP2", [], labels=boards.folder)
    assert f"udisksctl mount -b {boards.folder}/RPI-RP2" in caught.value.hint
