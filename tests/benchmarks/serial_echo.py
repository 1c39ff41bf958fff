"""The board's half of `serial`: sends back whatever comes, over the stream or without it.

``micropython serial_echo.py PACKAGES stream|raw``; the line is its standard input and output. It
says "ready" first. In the raw form nothing is framed, checked or sent again: the floor.
"""

import sys

import micropython

if sys.argv[2] == "raw":
    micropython.kbd_intr(-1)
    print("ready")
    room = memoryview(bytearray(1))
    while True:
        sys.stdin.buffer.readinto(room)
        sys.stdout.buffer.write(room)
else:
    sys.path.insert(0, sys.argv[1])
    import gc

    from fieldconf_microagent.serial_line import SerialLine

    gc.collect()
    before = gc.mem_alloc()
    line = SerialLine("serial:")
    gc.collect()
    print("ready", gc.mem_alloc() - before)
    line.connect()
    room = memoryview(bytearray(512))
    waiting = b""
    while True:
        line.modify(line, 5 if waiting else 1)
        line.poll(1000)
        while not waiting:
            count = line.readinto(room)
            if not count:
                break
            waiting = bytes(room[:count])
            waiting = waiting[line.write(waiting) or 0 :]
        if waiting:
            waiting = waiting[line.write(waiting) or 0 :]
