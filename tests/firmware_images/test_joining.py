"""A board that somebody else made the image for: its token is in there, and it is approved."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fieldconf_coordinator.cli.main import group
from fieldconf_firmware_images import boards, littlefs_image
from support import interpreters
from support.coordinators import coordinator
from support.hearing import powered
from support.images import uf2_flash
from support.waiting import until

FROM_FLASH = Path(__file__).parents[1] / "support" / "from_flash.py"


def run(*words):
    done = CliRunner().invoke(group, [str(word) for word in words], standalone_mode=False)
    assert done.exception is None and not done.return_value, (done.output, done.exception)


@pytest.fixture
def flash(tmp_path):
    return tmp_path / "flash"


def settings_on(flash, board):
    files = littlefs_image.unpack(flash.read_bytes(), board.filesystem)
    return json.loads(files["settings.json"])


def test_image_with_a_token_joins_and_makes_a_key_of_its_own(agent, flash, tmp_path):
    board = boards.load("pico-w")
    token, out, place = tmp_path / "shed.json", tmp_path / "shed.uf2", ["--data", tmp_path / "data"]
    sizes = [str(board.filesystem.read_size), str(board.filesystem.prog_size)]
    command = [interpreters.find("micropython"), FROM_FLASH, flash, *sizes]
    with coordinator(tmp_path / "data", serves=True) as running:
        run("enrol", "shed", "--board", "pico-w", "--join", "-o", token, *place)
        run("image", "pico-w", "--settings", token, "--files-only", "-o", out)
        whole = uf2_flash(out.read_bytes(), board.micropython.family, board.flash_size)
        flash.write_bytes(whole[board.filesystem.offset :])
        shed = running.service.fleet.world.enrolled["shed"]

        with powered(command, tmp_path):
            until(lambda: shed.online and shed.seen[0] == 1)
            run("enrol", "shed", "--approve", *place)
            # It starts anew with its new key.
            until(lambda: shed.online and shed.seen[:2] == (2, 2) and not shed.nonce)

    first, now = json.loads(token.read_text()), settings_on(flash, board)
    assert now["key"] == shed.key.hex() != first["key"]
    assert now["enrolment"] == 2
