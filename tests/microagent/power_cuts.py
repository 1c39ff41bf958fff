"""Cuts the power at every write of the flash; run under MicroPython by `test_power_cuts`.

``micropython power_cuts.py PACKAGES``: a block device in memory under the LittleFS of boards loses
its power at the n-th operation, for every n and in three ways, while the agent saves. Then the
board boots: it must find what was there before, or what was being saved, whole; and saving again
must work. Prints how many cuts there were.
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])
import vfs

from fieldconf_microagent import settings
from fieldconf_microagent.assembling import BOOT
from fieldconf_microagent.host import STATE
from fieldconf_microagent.store import Store

BLOCK, COUNT = 512, 64
LOST, HALF, GARBAGE = range(3)
EIO = -5
KEY = "07" * 32


class Flash:
    """Blocks in memory. After `left` operations the power fails."""

    def __init__(self):
        self.data = bytearray(BLOCK * COUNT)
        self.left = None
        self.way = LOST
        self.is_off = False

    def readblocks(self, block, room, offset=0):
        start = block * BLOCK + offset
        room[:] = memoryview(self.data)[start : start + len(room)]

    def writeblocks(self, block, data, offset=0):
        start = block * BLOCK + offset
        room = memoryview(self.data)[start : start + len(data)]
        return self.operate(room, data)

    def ioctl(self, operation, argument):
        if operation == 4:
            return COUNT
        if operation == 5:
            return BLOCK
        if operation == 6:
            start = argument * BLOCK
            return self.operate(memoryview(self.data)[start : start + BLOCK], b"\xff" * BLOCK)
        return 0

    def operate(self, room, data):
        # Errors are returned: each that is raised would be printed by the file system.
        if self.is_off:
            return EIO
        if self.left is not None:
            if not self.left:
                self.is_off = True
                if self.way == HALF:
                    half = len(data) // 2
                    room[:half] = data[:half]
                elif self.way == GARBAGE:
                    room[:] = bytes([byte * 7 + 3 & 255 for byte in range(len(data))])
                return EIO
            self.left -= 1
        room[:] = data
        return 0


def mounted(flash):
    vfs.mount(vfs.VfsLfs2(flash, readsize=32, progsize=32, lookahead=32), "/flash")


def cut_everywhere(prepare, act, boots):
    """Let `act` be cut at each of its operations, in each way; return how many cuts there were."""
    flash = Flash()
    vfs.VfsLfs2.mkfs(flash, readsize=32, progsize=32, lookahead=32)
    mounted(flash)
    prepare()
    vfs.umount("/flash")
    before = bytes(flash.data)
    cuts = 0
    for way in (LOST, HALF, GARBAGE):
        number = 0
        while True:
            flash.data[:] = before
            flash.left, flash.way, flash.is_off = number, way, False
            mounted(flash)
            try:
                act()
            except OSError:
                pass
            vfs.umount("/flash")
            was_cut, flash.left, flash.is_off = flash.is_off, None, False
            mounted(flash)
            boots(was_cut)
            act()
            boots(False)
            vfs.umount("/flash")
            if not was_cut:
                break
            number += 1
            cuts += 1
        assert number > 3, "nothing was written"
    return cuts


# What the agent saves: its state, its boot number, and the settings with the node's key.

OLD, NEW = b"old" * 500, b"new" * 700


def save_old():
    Store("/flash/state").save(STATE, OLD)


def save_new():
    Store("/flash/state").save(STATE, NEW)


def finds_a_state(was_cut):
    found = Store("/flash/state").load(STATE)
    assert found == NEW or (was_cut and found == OLD), found
    names = os.listdir("/flash/state")
    assert not [name for name in names if name.endswith(".new")], names


def boot_once():
    Store("/flash/state").save(BOOT, b"41")


def boot_again():
    store = Store("/flash/state")
    store.save(BOOT, b"42")


def finds_a_number(was_cut):
    found = Store("/flash/state").load(BOOT)
    assert found == b"42" or (was_cut and found == b"41"), found


def write_settings():
    content = {"node": "n1", "key": KEY, "broker": "mqtt://gateway", "wifi": [["net", "x" * 40]]}
    with open("/flash/settings.json", "w") as file:
        json.dump(content, file)


def change_settings():
    if settings.read("/flash/settings.json")["enrolment"] == 1:
        settings.rekey("/flash/settings.json", b"nonce", 2)


def finds_settings(was_cut):
    found = settings.read("/flash/settings.json")
    is_old = found["key"] == bytes.fromhex(KEY) and found["enrolment"] == 1
    is_new = found["key"] != bytes.fromhex(KEY) and found["enrolment"] == 2
    assert is_new or (was_cut and is_old), found
    assert found["wifi"] == [["net", "x" * 40]]


print("state", cut_everywhere(save_old, save_new, finds_a_state))
print("boot", cut_everywhere(boot_once, boot_again, finds_a_number))
print("settings", cut_everywhere(write_settings, change_settings, finds_settings))
