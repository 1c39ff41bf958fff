"""Images hold what they should, where the board looks for it; what is wrong is told in words."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

import pytest

from fieldconf_firmware_images import boards, building, esp, littlefs_image, needs
from fieldconf_firmware_images.errors import ImageError
from fieldconf_firmware_images.firmware import Firmware
from fieldconf_firmware_images.image import save
from support.images import (
    KEY,
    VERSION,
    WITH_VFS,
    esp8266_firmware,
    esp_firmware,
    esp_program,
    settings,
    uf2_file,
    uf2_flash,
)

ESP = {"esp32": (0, 0x1000), "esp32-s3": (9, 0), "esp32-c3": (5, 0)}
RP2 = {"pico-w": 0xE48BFF56, "pico2-w": 0xE48BFF59}


def firmware(content, name="firmware.bin"):
    return Firmware(name, content, hashlib.sha256(content).hexdigest(), False)


def rp2_firmware(name, text=VERSION):
    return uf2_file(RP2[name], 0x10000000, text.ljust(16 * 4096, b"\5"))


def build(name, content=None, file="firmware.bin", **others):
    given = None if content is None else firmware(content, file)
    return building.build(boards.load(name), settings(**others), given)


def refusal(name, content, file="firmware.bin"):
    with pytest.raises(ImageError) as caught:
        build(name, content, file)
    return str(caught.value)


@pytest.mark.parametrize("name", [*ESP, *RP2])
def test_file_system_holds_agent_start_and_settings(agent, name):
    image = build(name)

    files = littlefs_image.unpack(image.filesystem, image.board.filesystem)
    assert files == image.files
    assert files.keys() == {"main.py", "settings.json"} | agent.keys()
    assert "lib/fieldconf_microagent/main_board.mpy" in files
    assert json.loads(files["settings.json"]) == settings()
    assert len(image.filesystem) == image.board.filesystem.size


@pytest.mark.parametrize("name", ESP)
def test_esp_gets_firmware_and_files_in_one_piece(agent, name):
    chip_id, start = ESP[name]
    content = esp_firmware(chip_id, start)

    image = build(name, content)

    flash = image.merged
    assert len(flash) == image.board.flash_size
    assert flash[start : start + len(content)] == content
    assert flash[0x220000:] == image.filesystem
    assert set(flash[start + len(content) : 0x220000]) == {0xFF}
    assert image.parts == ((start, content), (0x220000, image.filesystem))


def test_table_in_the_firmware_decides_where_files_are(agent):
    image = build("esp32", esp_firmware(0, 0x1000, WITH_VFS))

    assert image.parts[-1][0] == 0x200000
    assert len(image.filesystem) == 0x200000
    assert "at 0x200000" in "\n".join(image.summary())


def test_larger_flash_gives_more_room(agent):
    board = boards.load("esp32").with_flash_size(0x1000000)

    image = building.build(board, settings(), firmware(esp_firmware(0, 0x1000)))

    assert len(image.merged) == 0x1000000
    assert len(image.filesystem) == 0x1000000 - 0x220000


@pytest.mark.parametrize("name", ESP)
def test_esptool_puts_the_parts_together_in_the_same_way(agent, name, tmp_path, capsys):
    esptool = pytest.importorskip("esptool", reason="needs esptool: pip install 'fieldconf[test]'")
    image = build(name, esp_firmware(*ESP[name]))

    theirs = tmp_path / "merged.bin"
    esptool.merge_bin(list(image.parts), image.board.chip, str(theirs))
    assert theirs.read_bytes() == image.merged

    start = image.parts[0][0]
    for at in (start, 0x10000):
        esptool.image_info(image.merged[at : at + 0x6000], image.board.chip)
        told = capsys.readouterr().out
        assert "(valid)" in told and "invalid" not in told


def test_partition_table_is_read_by_others_from_the_merged_image(agent):
    definitions = pytest.importorskip(
        "esp_idf_defs.partitions", reason="needs esp-idf-defs: pip install 'fieldconf[test]'"
    )
    image = build("esp32", esp_firmware(0, 0x1000, WITH_VFS))

    table = definitions.PartitionTable.from_binary(image.merged[0x8000:0x8C00])

    (vfs,) = [one for one in table if one.name == "vfs"]
    assert image.merged[vfs.offset : vfs.offset + vfs.size] == image.filesystem


def test_esp8266_is_told_its_size_of_flash(agent, tmp_path):
    """Its file system ends where the header says that the flash does."""
    esptool = pytest.importorskip("esptool", reason="needs esptool: pip install 'fieldconf[test]'")
    content = esp8266_firmware()

    image = build("esp8266", content)

    assert content[3] >> 4 == 2 and image.merged[3] >> 4 == image.parts[0][1][3] >> 4 == 4
    assert image.merged[0x100000:] == image.filesystem
    assert len(image.filesystem) == 0x400000 - 0x100000 - 20480
    theirs = tmp_path / "merged.bin"
    parts = [(0, content), *image.parts[1:]]
    esptool.merge_bin(parts, "esp8266", str(theirs), flash_size="4MB")
    assert theirs.read_bytes() == image.merged


@pytest.mark.parametrize("name", RP2)
def test_pico_gets_firmware_and_files_in_one_copy(agent, name):
    content = rp2_firmware(name)

    image = build(name, content)

    board = image.board
    flash = uf2_flash(image.merged, RP2[name], board.flash_size)
    assert flash[: 16 * 4096] == VERSION.ljust(16 * 4096, b"\5")
    assert flash[board.filesystem.offset :] == image.filesystem
    # What lies between is left as it is.
    assert set(flash[16 * 4096 : board.filesystem.offset]) == {ord("?")}


def test_pico_gets_the_files_alone(agent):
    image = build("pico-w")

    flash = uf2_flash(image.merged, RP2["pico-w"], image.board.flash_size)
    assert flash[0x12C000:] == image.filesystem
    assert set(flash[:0x12C000]) == {ord("?")}


def test_blocks_for_other_chips_are_kept_in_front(agent):
    """Files for the RP2350 begin with a block that works around an error of the chip."""
    other = uf2_file(0xE48BFF57, 0x10FFFF00, b"\xef" * 256)

    image = build("pico2-w", other + rp2_firmware("pico2-w"))

    assert image.merged[:512] == other
    uf2_flash(image.merged, RP2["pico2-w"], image.board.flash_size)


def test_pyboard_gets_plain_files(agent):
    image = build("pybv11", broker="serial:")

    assert image.filesystem is None and image.merged is None and image.parts == ()
    with tarfile.open(fileobj=io.BytesIO(image.packed)) as archive:
        assert {one.name for one in archive} == image.files.keys()
        assert {(one.mtime, one.uid, one.mode) for one in archive} == {(0, 0, 0o600)}


def test_same_input_gives_the_same_bytes_elsewhere(tmp_path):
    """Another process, folder, and order of sets; the agent is compiled each time."""
    pytest.importorskip("littlefs", reason="needs littlefs-python: pip install 'fieldconf[test]'")
    program = (
        "import sys; sys.path[:0] = {path!r}\n"
        "from fieldconf_firmware_images import boards, building\n"
        "image = building.build(boards.load({name!r}), {settings!r})\n"
        "print(image.sha256)"
    )
    digests = set()
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        own = settings()
        if seed == "2":
            own = dict(reversed(own.items()))
        done = subprocess.run(
            [sys.executable, "-c", program.format(path=sys.path, name="pico-w", settings=own)],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)

    assert len(digests) == 1


def test_summary_tells_what_is_inside_but_no_secrets(agent):
    content = esp_firmware(0, 0x1000)
    image = build("esp32", content, password="hunter2", user="n7")

    lines = image.summary()

    told = "\n".join(lines)
    assert lines[0] == "image       node n7 on ESP32 (WROOM, DevKitC and most others)"
    assert "firmware    MicroPython v1.28.0 on 2026-04-06, " in told
    assert "which nobody vouches for; --sha256 checks it" in told
    assert f"{len(image.files)} with {sum(map(len, image.files.values())):,} bytes" in told
    assert "of the 1,966,080 bytes at 0x220000, " in told
    assert image.sha256 == hashlib.sha256(image.merged).hexdigest() and image.sha256 in told
    assert "key with fingerprint " in told
    assert KEY not in told and "hunter2" not in told

    told = "\n".join(build("unix", broker=["mqtt://gateway:1883", "mqtt://g.local"]).summary())
    assert "brokers mqtt://gateway:1883, mqtt://g.local, " in told
    with pytest.raises(ImageError) as caught:
        build("unix", broker="mqtt://n7:hunter2@gateway:1883")
    assert "'user' and 'password' are settings of their own" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_board_without_a_network_speaks_over_its_line(agent):
    with pytest.raises(ImageError, match=r"pyboard v1\.1 .* has no network: it speaks over its"):
        build("pybv11")

    told = "\n".join(build("pybv11", broker="serial:").summary())
    assert "network     none; it speaks over a serial line" in told


def test_board_on_a_line_is_deaf_to_ctrl_c_from_the_first_statement(agent):
    """What the gateway sends to the board's former life may hold that byte."""
    on_a_line = build("esp32", broker="serial:").files["main.py"].decode()

    code = [line for line in on_a_line.splitlines() if line and not line.startswith("#")]
    assert code[1].startswith("kbd_intr(-1)")
    assert compile(on_a_line, "main.py", "exec")
    assert b"kbd_intr" not in build("esp32").files["main.py"]


def test_networks_are_told_by_name_and_checked(agent):
    told = "\n".join(build("esp32", wifi=[["home", "hunter2"], ["barn", ""]]).summary())
    assert "network     Wi-Fi home, barn" in told and "hunter2" not in told
    assert "network     Ethernet" in "\n".join(build("esp32", lan={}).summary())
    assert '"wifi": [[NAME, PASSWORD]]' in "\n".join(build("esp32").summary())

    for wrong in ("home", [["home"]], [["home", 1]], {"home": "hunter2"}):
        with pytest.raises(ImageError, match=r"'wifi' must be \[\[NAME, PASSWORD\]\]"):
            build("esp32", wifi=wrong)


def test_settings_that_the_agent_would_refuse_are_refused(agent):
    with pytest.raises(ImageError) as caught:
        build("esp32", broker="http://127.0.0.1")

    assert "the settings of the node are refused: 'http://127.0.0.1' must be mqtt" in str(
        caught.value
    )


def test_what_does_not_fit_is_refused_with_both_sizes(agent, monkeypatch):
    agent["lib/ballast"] = b"x" * 900_000
    try:
        with pytest.raises(ImageError) as caught:
            build("pico-w")
    finally:
        del agent["lib/ballast"]

    said = str(caught.value)
    assert said.startswith("the files do not fit: ")
    assert "the board's file system has 868,352 bytes in blocks of 4,096" in said


def test_files_longer_than_the_cache_of_the_board_have_blocks_of_their_own():
    """The board would read one that stands among the names into a cache that is too small."""
    pytest.importorskip("littlefs", reason="needs littlefs-python: pip install 'fieldconf[test]'")
    where = boards.load("esp32").filesystem

    short, long = (littlefs_image.pack({"a": b"x" * n}, where, 65536) for n in (100, 150))

    used = [littlefs_image.used_bytes(one, where) for one in (short, long)]
    assert used[1] == used[0] + where.block_size


def test_damaged_file_system_is_refused(agent):
    image = build("pico-w")
    where = image.board.filesystem
    damaged = b"\xff" * 8192 + image.filesystem[8192:]

    with pytest.raises(ImageError, match="there is no LittleFS file system, or it is broken"):
        littlefs_image.unpack(damaged, where)


def test_compiler_that_boards_do_not_understand_is_refused(tmp_path, monkeypatch):
    fake = tmp_path / "mpy-cross"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nprintf M9 > "$2"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(needs, "command", lambda name: str(fake))

    with pytest.raises(ImageError, match="writes modules that boards cannot load"):
        build("unix")


def test_missing_package_is_told_with_the_command_that_brings_it(agent, monkeypatch):
    monkeypatch.setitem(sys.modules, "littlefs", None)

    with pytest.raises(ImageError) as caught:
        build("esp32")

    assert str(caught.value) == (
        "this needs littlefs-python, which is not installed: .venv/bin/pip install '.[boards]' in "
        "the folder of Fieldconf, or pip install 'WHEEL[boards]'"
    )


def damaged(content):
    """Return it with one bit changed, in the program."""
    at = len(content) - 500
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def damaged_table(content):
    at = 0x7000 + 40
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"PK\3\4" * 5000, "no firmware for ESP32"),
        (lambda: b"", "no firmware for ESP32"),
        (lambda: esp_firmware(9, 0x1000), "for another chip: number 9, and esp32 is number 0"),
        (lambda: esp_program(0), "take the file that starts with the boot loader"),
        (lambda: esp_firmware(0, 0x1000)[:-700], "is cut short"),
        (lambda: damaged(esp_firmware(0, 0x1000)), "does not match its checksum"),
        (lambda: damaged_table(esp_firmware(0, 0x1000)), "partition table does not match"),
        (
            lambda: esp_firmware(0, 0x1000, text=b"Adafruit CircuitPython 9.2.1 on 2025-01-01"),
            "is no MicroPython: it does not say its version",
        ),
        (
            lambda: esp_firmware(0, 0x1000, text=b"v1.18 on 2022-01-17"),
            "is too old: v1.18 on 2022-01-17; the agent needs v1.20 or newer",
        ),
        (
            lambda: esp_firmware(0, 0x1000, WITH_VFS.replace("0x200000,\n", "0x600000,\n")),
            "is for more flash than the 4,194,304 bytes of esp32; give the size",
        ),
        (
            lambda: esp_firmware(0, 0x1000, WITH_VFS.replace("vfs,", "ffat,")),
            "keeps its files in a FAT partition",
        ),
    ],
    ids=[
        "a ZIP",
        "nothing",
        "ESP32-S3",
        "program alone",
        "cut short",
        "one bit in the program",
        "one bit in the table",
        "CircuitPython",
        "too old",
        "larger flash",
        "FAT",
    ],
)
def test_wrong_firmware_for_an_esp32_is_refused_in_words(agent, make, message):
    said = refusal("esp32", make())

    assert said.startswith("firmware.bin ") and message in said


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: esp_firmware(0, 0x1000), "firmware.bin is no firmware for the ESP8266"),
        (lambda: esp8266_firmware()[:400], "firmware.bin is cut short"),
    ],
    ids=["ESP32", "cut short"],
)
def test_wrong_firmware_for_an_esp8266_is_refused_in_words(agent, make, message):
    assert refusal("esp8266", make()) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"x" * 1024, "firmware.bin is no UF2 file, or damaged: block 0 has a wrong mark"),
        (lambda: b"x" * 1000, "firmware.bin is no UF2 file, or cut short"),
        (
            lambda: rp2_firmware("pico2-w"),
            "firmware.bin is for other chips: it has family 0xe48bff59, not 0xe48bff56",
        ),
        (
            lambda: rp2_firmware("pico-w")[: -512 * 3],
            "firmware.bin is not complete: it has 253 of 256 blocks",
        ),
        (
            lambda: rp2_firmware("pico-w", b"CircuitPython"),
            "firmware.bin is no MicroPython: it does not say its version",
        ),
        (
            lambda: uf2_file(0xE48BFF56, 0x10000000, VERSION.ljust(0x130000, b"\5")),
            "firmware.bin is too long, or for another board: block 4800 goes to 0x1012c000; "
            "there are 0x10000000 to 0x1012c000 for firmware",
        ),
    ],
    ids=["no UF2", "odd size", "RP2350", "cut short", "CircuitPython", "too long"],
)
def test_wrong_firmware_for_a_pico_is_refused_in_words(agent, make, message):
    assert refusal("pico-w", make()).startswith(message)


def test_board_that_takes_no_firmware_says_so(agent):
    assert refusal("unix", b"x") == "unix takes no firmware from here: leave out --firmware"


def test_image_is_written_for_its_owner_alone(agent, tmp_path):
    image = build("unix")
    path = tmp_path / "node.tar"
    path.write_text("what was there")
    path.chmod(0o644)

    save(image, path)

    assert path.read_bytes() == image.packed
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_image_that_cannot_be_written_leaves_nothing(agent, tmp_path):
    image = build("unix")
    (tmp_path / "out").mkdir()

    with pytest.raises(ImageError, match=r"cannot write .*out: Is a directory"):
        save(image, tmp_path / "out")
    with pytest.raises(ImageError, match=r"cannot write .*: No such file or directory"):
        save(image, tmp_path / "none" / "out")

    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_table_of_a_file_for_updates_is_not_guessed():
    with pytest.raises(ImageError, match=r"x\.app-bin has no partition table"):
        esp.partitions(esp_program(0), 0x1000, "x.app-bin")
