"""``fieldconf image`` as a user runs it: what it writes, what it prints, how it refuses."""

import hashlib
import json
import tarfile

import click
import pytest
from click.testing import CliRunner

from fieldconf_coordinator.cli.images import image
from fieldconf_coordinator.cli.main import group
from fieldconf_firmware_images import boards, littlefs_image
from support.coordinators import coordinator
from support.images import KEY, VERSION, esp_firmware, settings, uf2_file, uf2_flash

RELEASE = "ESP32_GENERIC-20260406-v1.28.0.bin"


@pytest.fixture
def desk(agent, tmp_path, monkeypatch):
    """A folder with settings, and a cache that is empty."""
    monkeypatch.setenv("FIELDCONF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "n7.json").write_text(json.dumps(settings()))
    return tmp_path


def run(desk, *arguments, typed=None):
    """Return exit status and all that was printed."""
    words = ["image", *arguments]
    if "--settings" not in words and "--node" not in words:
        words += ["--settings", desk / "n7.json"]
    done = CliRunner().invoke(
        group, [*map(str, words), "-o", str(desk / "out")], typed, standalone_mode=False
    )
    if done.exception:
        return 1, str(done.exception)
    return done.return_value, done.output


def test_image_is_built_with_firmware_that_the_user_brings(desk):
    content = esp_firmware(0, 0x1000)
    (desk / "mine.bin").write_bytes(content)

    status, said = run(desk, "esp32", "--firmware", desk / "mine.bin")

    assert status == 0, said
    written = (desk / "out").read_bytes()
    assert written[0x1000 : 0x1000 + len(content)] == content
    assert (desk / "out").stat().st_mode & 0o777 == 0o600
    assert f"{len(written):,} bytes, SHA-256 {hashlib.sha256(written).hexdigest()}" in said
    assert f"esptool --chip esp32 write-flash 0x0 {desk / 'out'}" in said
    assert KEY not in said


def test_missing_firmware_is_told_with_where_to_get_it_and_where_to_put_it(desk):
    status, said = run(desk, "esp32")

    assert status == 1
    assert f"Get {RELEASE} from https://micropython.org/download/ESP32_GENERIC/" in said
    assert f"put it into {desk / 'cache'}, or give its path with --firmware" in said
    known = boards.load("esp32").micropython.sha256
    assert f"Its SHA-256 is {known}." in said
    assert not (desk / "out").exists()


def test_other_file_under_the_name_of_the_release_is_refused(desk):
    content = esp_firmware(0, 0x1000)
    (desk / "cache" / RELEASE).write_bytes(content)

    status, said = run(desk, "esp32")

    digest = hashlib.sha256(content).hexdigest()
    assert status == 1 and f"its SHA-256 is {digest}, expected " in said
    assert f"--sha256 {digest}" in said
    assert not (desk / "out").exists()

    status, said = run(desk, "esp32", "--sha256", digest.upper())
    assert status == 0 and f"SHA-256 {digest}, as expected" in said


def test_wrong_hash_is_refused(desk):
    (desk / "mine.bin").write_bytes(esp_firmware(0, 0x1000))

    status, said = run(desk, "esp32", "--firmware", desk / "mine.bin", "--sha256", "00" * 32)

    assert status == 1 and "mine.bin is not the expected firmware, or it is damaged" in said


def test_firmware_without_a_known_hash_is_used_and_said_to_be_unchecked(desk):
    (desk / "mine.uf2").write_bytes(uf2_file(0xE48BFF56, 0x10000000, VERSION.ljust(4096, b"\1")))

    status, said = run(desk, "pico-w", "--firmware", desk / "mine.uf2")

    assert status == 0
    assert "which nobody vouches for; --sha256 checks it" in said


def test_files_alone_need_no_firmware(desk):
    status, said = run(desk, "esp32", "--files-only", "--flash-size", "16MB")

    assert status == 0
    board = boards.load("esp32").with_flash_size(16 << 20)
    assert (desk / "out").stat().st_size == board.filesystem.size
    files = littlefs_image.unpack((desk / "out").read_bytes(), board.filesystem)
    assert json.loads(files["settings.json"]) == settings()
    assert "esptool --chip esp32 write-flash 0x220000 " in said


def test_json_tells_the_same_to_programs(desk):
    status, said = run(desk, "unix", "--json")

    told = json.loads(said)
    assert status == 0 and told["node"] == "n7"
    assert told["sha256"] == hashlib.sha256((desk / "out").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["esp23"], "there is no board 'esp23'; known are esp32, "),
        (["esp32", "--firmware", "none.bin"], "cannot read the firmware none.bin: No such file"),
        (["unix", "--firmware", "x.bin"], "unix takes no firmware from here"),
        (["pico-w", "--flash-size", "4MB"], "pico-w has one size of flash only"),
        (["unix", "--settings", "none.json"], "cannot read the settings none.json: No such file"),
    ],
    ids=[
        "unknown board",
        "no such firmware",
        "board without firmware",
        "size of flash",
        "no such settings",
    ],
)
def test_what_cannot_be_built_is_refused_in_one_sentence(desk, arguments, message):
    status, said = run(desk, *arguments)

    assert status == 1 and message in said
    assert len(said.splitlines()) == 1
    assert not (desk / "out").exists()


def test_broker_on_the_command_line_goes_before_that_of_the_settings(desk):
    status, said = run(desk, "unix", "--broker", "mqtt://192.168.1.11:1883")

    assert status == 0, said
    with tarfile.open(desk / "out") as archive:
        found = json.load(archive.extractfile("settings.json"))
    assert found == {**settings(), "broker": "mqtt://192.168.1.11:1883"}


def test_settings_with_a_key_are_not_enrolled_anew(desk):
    status, said = run(desk, "unix", "--anew")

    assert status == 1 and "the settings have a key already: leave out --anew" in said


def test_boards_are_completed():
    (board,) = [one for one in image.params if one.name == "board"]

    found = board.shell_complete(click.Context(image), "esp32-")

    assert [one.value for one in found] == ["esp32-c3", "esp32-s3"]


def test_settings_of_another_node_are_refused(desk):
    status, said = run(desk, "unix", "--settings", desk / "n7.json", "--node", "n8")

    assert status == 1 and "are those of n7, not of n8" in said


def test_settings_that_are_no_json_are_refused(desk):
    (desk / "n7.json").write_text("{")

    status, said = run(desk, "unix")

    assert status == 1 and "n7.json: no JSON" in said


@pytest.fixture
def fleet(desk):
    """A coordinator that `run` finds with these words."""
    with coordinator(desk / "data", serves=True) as running:
        running.words = ["--data", desk / "data"]
        yield running


def enrolled(fleet):
    return fleet.service.fleet.world.enrolled


def inside(desk, name="pico-w"):
    """Return the settings in the image that was written."""
    board = boards.load(name)
    flash = uf2_flash((desk / "out").read_bytes(), board.micropython.family, board.flash_size)
    files = littlefs_image.unpack(flash[board.filesystem.offset :], board.filesystem)
    return json.loads(files["settings.json"])


def test_node_is_enrolled_for_its_image(desk, fleet):
    words = ["pico-w", "--node", "attic", "--files-only", *fleet.words]

    status, said = run(desk, *words, "--broker", "mqtt://192.168.1.10:1883")

    assert status == 0, said
    one = enrolled(fleet)["attic"]
    found = inside(desk)
    assert (found["node"], found["broker"]) == ("attic", "mqtt://192.168.1.10:1883")
    assert (found["key"], found["fleet"]) == (one.key.hex(), fleet.service.fleet_id)
    assert one.board == "pico-w"
    assert one.key.hex() not in said

    status, said = run(desk, *words, "--broker", "mqtt://192.168.1.10:1883")
    assert status == 1 and "there is a node attic already" in said

    status, said = run(desk, *words, "--broker", "mqtt://192.168.1.10:1883", "--anew")
    assert status == 0, said
    assert inside(desk)["key"] != found["key"] and inside(desk)["enrolment"] == 2


def test_settings_may_be_shared_by_nodes_that_are_enrolled(desk, fleet):
    shared = {"broker": "mqtt://192.168.1.10:1883", "keepalive": 300, "wifi": [["net", "secret"]]}
    (desk / "shared.json").write_text(json.dumps(shared))

    status, said = run(
        desk, "pico-w", "--node", "attic", "--settings", desk / "shared.json", "--files-only",
        *fleet.words,
    )  # fmt: skip

    assert status == 0, said
    found = inside(desk)
    assert found["key"] == enrolled(fleet)["attic"].key.hex()
    assert found["broker"] == shared["broker"] and found["wifi"] == shared["wifi"]
    assert found["keepalive"] == 300


def test_password_of_a_network_is_asked_for(desk, fleet):
    words = ["pico-w", "--node", "attic", "--files-only", *fleet.words]
    words += ["--broker", "mqtt://192.168.1.10:1883", "--wifi", "home", "--wifi", "barn"]

    status, said = run(desk, *words, typed="hunter2\nhunter3\n")

    assert status == 0, said
    assert inside(desk)["wifi"] == [["home", "hunter2"], ["barn", "hunter3"]]
    assert "Wi-Fi home, barn" in said and "hunter" not in said


def test_board_without_a_network_is_enrolled_for_its_line(desk, fleet):
    status, said = run(desk, "pybv11", "--node", "attic", *fleet.words)

    assert status == 0, said
    with tarfile.open(desk / "out") as archive:
        found = json.load(archive.extractfile("settings.json"))
    assert found["broker"] == "serial:"
    assert found["key"] == enrolled(fleet)["attic"].key.hex()


def test_nobody_is_enrolled_when_the_image_cannot_be_made(desk, fleet):
    words = ["esp32", "--node", "attic", *fleet.words]
    (desk / "wrong.bin").write_bytes(b"?" * 100_000)

    for more, message in [
        (["--firmware", desk / "wrong.bin"], "wrong.bin is no firmware for ESP32"),
        (
            ["--files-only"],
            "which is this box only; say how ESP32 (WROOM, DevKitC and most others)",
        ),
        (["--files-only", "--broker", "http://x"], "must be mqtt://"),
    ]:
        status, said = run(desk, *words, *more)
        assert status == 1 and message in said

    status, said = run(desk, "linux", "--node", "attic", *fleet.words)
    assert status == 1 and "which is this box only; say how Raspberry Pi OS" in said

    assert enrolled(fleet) == {} and not (desk / "out").exists()


def test_several_brokers_stand_in_the_image(desk):
    status, said = run(desk, "unix", "--broker", "mqtt://a.local", "--broker", "mqtt://10.0.0.1")

    assert status == 0, said
    assert "brokers mqtt://a.local, mqtt://10.0.0.1, key" in said


def test_settings_whose_broker_is_this_box_only_are_noted(desk):
    (desk / "n7.json").write_text(json.dumps({**settings(), "broker": "mqtt://127.0.0.1:1883"}))

    noted = [run(desk, board, "--files-only")[1] for board in ("esp32", "unix")]

    assert "which is this box only; say how it gets there: fieldconf image" in noted[0]
    assert "note: " not in noted[1]


def test_image_of_nobody_is_refused(desk):
    (desk / "n7.json").write_text("{}")

    status, said = run(desk, "unix")

    assert status == 1 and "whose image is it? Say --node NAME" in said


def test_folder_that_is_not_there_is_noticed_before_all_else(desk):
    done = CliRunner().invoke(group, ["image", "unix", "--node", "n7", "-o", str(desk / "no/out")])

    assert done.exit_code == 0 or done.return_value == 1
    assert f"cannot write {desk / 'no/out'}: its folder is not there" in done.output


def test_odd_size_of_flash_is_a_mistake_of_use(desk):
    status, said = run(desk, "esp32", "--flash-size", "4 apples")

    assert status == 1 and "'4 apples' is no size; write it as in 4MB" in said
    assert not (desk / "out").exists()
