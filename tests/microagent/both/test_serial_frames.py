from fieldconf_microagent.serial_frames import (
    CONNECTING,
    ENDED,
    NONE,
    OPEN,
    Line,
    decode,
    encode,
)


def pair():
    """Return a board and a gateway with an open stream."""
    board, gateway = Line(), Line(True)
    board.connect(77)
    talk(0, board, gateway)
    gateway.accept()
    talk(0, board, gateway)
    assert (board.state, gateway.state) == (OPEN, OPEN)
    return board, gateway


def talk(now, board, gateway):
    """Carry everything over until nobody has anything to say."""
    while True:
        up = board.output(now)
        gateway.feed(now, up)
        down = gateway.output(now)
        board.feed(now, down)
        if not up and not down:
            return


def frames(data):
    return [b"\0" + piece + b"\0" for piece in data.split(b"\0") if piece]


def test_codes_without_zeros_and_back():
    for data in (b"", b"\0", b"a", b"\0\0a\0", b"a" * 253, b"a" * 254, b"a" * 255, b"\0" * 300):
        for tail in (b"", b"\0", b"b"):
            coded = encode(data + tail)
            assert b"\0" not in coded
            assert decode(coded) == data + tail


def test_refuses_what_is_not_coded():
    for chunk in (b"\x03a", b"a\0b", b"\xffabc"):
        assert decode(chunk) is None


def test_stream_opens_carries_and_closes():
    board, gateway = Line(), Line(True)

    board.connect(77)
    talk(0, board, gateway)
    assert (gateway.state, gateway.stream, board.state) == (CONNECTING, 77, CONNECTING)
    assert board.room() == 0
    gateway.accept()
    talk(0, board, gateway)
    assert (board.state, gateway.state) == (OPEN, OPEN)

    assert board.send(b"hello") == 5
    assert gateway.send(b"welcome") == 7
    talk(0, board, gateway)
    assert bytes(gateway.take(100)) == b"hello"
    assert bytes(board.take(3)) == b"wel"
    assert bytes(board.received) == b"come"

    board.send(b"bye")
    board.close()
    talk(0, board, gateway)
    assert (gateway.state, bytes(gateway.received)) == (ENDED, b"bye")
    assert board.is_idle()


def test_lost_frame_alone_is_sent_again_before_any_timer_rings():
    board, gateway = pair()
    for text in (b"one", b"two", b"three", b"four"):
        board.send(text)
        talk(0, board, gateway)
        gateway.take(100)
    for text in (b"one", b"two", b"three", b"four"):
        board.send(text)
    sent = frames(board.output(10))
    assert len(sent) == 4

    gateway.feed(10, b"".join([sent[0], sent[2], sent[3]]))
    assert bytes(gateway.received) == b"one"
    board.feed(10, gateway.output(10))
    again = board.output(10)

    assert again == sent[1]
    gateway.feed(10, again)
    assert bytes(gateway.received) == b"onetwothreefour"
    assert board.resent == 1


def test_nothing_heard_is_said_again_with_growing_pauses():
    board, gateway = pair()
    board.send(b"anybody?")
    now, dates = 0, []
    for _ in range(8):
        board.output(now)
        dates.append(now)
        now = board.next_wake()
    pauses = [dates[at + 1] - dates[at] for at in range(7)]

    assert pauses == sorted(pauses)
    assert pauses[0] < 700 and 2500 < pauses[-1] <= 3000
    talk(now, board, gateway)
    assert bytes(gateway.received) == b"anybody?"
    assert board.next_wake() is None


def test_takes_no_more_than_the_window_holds():
    board, _ = pair()
    room = board.room()

    assert board.send(b"x" * 5000) == room < 5000
    assert board.room() == 0
    assert board.send(b"x") == 0


def test_what_is_not_taken_is_bounded_and_goes_on_later():
    board, gateway = pair()
    sent = now = 0
    while now < 60000:
        sent += board.send(b"x" * 1000)
        talk(now, board, gateway)
        now += 3000
    assert len(gateway.received) < 2500

    got = 0
    while got < sent:
        got += len(gateway.take(5000))
        talk(now, board, gateway)
        now += 3000
        assert now < 600000
    assert got == sent


def test_frames_are_found_between_text_and_noise():
    board, gateway = pair()
    board.send(b"hello")
    frame = board.output(0)

    gateway.feed(0, b"Traceback:\r\n  oops\r\n" + b"\xff\x01\x02" * 300)
    for byte in frame:
        gateway.feed(0, bytes((byte,)))

    assert bytes(gateway.received) == b"hello"
    assert gateway.damaged == 1
    assert len(gateway.rest) == 0


def test_endless_noise_takes_no_memory():
    gateway = Line(True)
    for _ in range(100):
        gateway.feed(0, b"noise" * 100)
    assert len(gateway.rest) < 300


def test_any_flipped_bit_is_noticed():
    board, gateway = pair()
    board.send(b"a\0b")
    frame = board.output(0)

    for at in range(1, len(frame) - 1):
        for bit in range(8):
            damaged = bytearray(frame)
            damaged[at] ^= 1 << bit
            gateway.feed(0, bytes(damaged))
    assert not gateway.received
    gateway.feed(0, frame)
    assert bytes(gateway.received) == b"a\0b"


def test_echo_is_not_taken_for_the_other_end():
    board, gateway = pair()
    for line in (board, gateway):
        line.send(b"hello")
        line.feed(0, line.output(0))
        assert not line.received
        assert line.damaged


def test_gateway_never_begins_with_what_a_person_types():
    """`serial_line` takes Ctrl-C for a person because no frame has it as its second byte."""
    _, gateway = pair()
    gateway.send(b"x")
    gateway.hello()
    gateway.tell_repl()
    gateway.close()
    for frame in frames(gateway.output(0)):
        assert frame[2] >= 16
        assert frame[0] == 0 == frame[-1]


def test_greeting_of_a_gateway_holds_nothing_that_a_prompt_obeys():
    """It may be said to a board that is at its prompt, where Ctrl-A to Ctrl-E are orders."""
    gateway = Line(True)
    gateway.hello()
    gateway.tell_repl()
    assert not set(gateway.output(0)) & {1, 2, 3, 4, 5, 10, 13}


def test_board_that_was_reset_ends_the_old_stream_with_its_first_answer():
    _, gateway = pair()
    gateway.send(b"for the old one")
    board = Line()

    talk(0, board, gateway)

    assert (gateway.state, gateway.stream) == (NONE, 0)
    assert not board.received


def test_new_stream_replaces_the_old_one_and_late_copies_do_no_harm():
    old, gateway = pair()
    old.send(b"late")
    late = old.output(0)
    again = Line()
    again.connect(77)
    late_connect = again.output(0)

    board = Line()
    board.connect(78)
    talk(0, board, gateway)
    assert (gateway.stream, gateway.state) == (78, CONNECTING)
    gateway.accept()
    gateway.feed(0, late_connect + late)
    talk(0, board, gateway)

    assert (gateway.stream, gateway.state, board.state) == (78, OPEN, OPEN)
    assert not gateway.received


def test_gateway_that_was_restarted_says_that_the_stream_is_over():
    board, _ = pair()
    gateway = Line(True)
    gateway.hello()
    board.feed(0, gateway.output(0))
    assert board.state == NONE


def test_board_that_waits_asks_a_new_gateway_once_more():
    board, former = Line(), Line(True)
    board.connect(77)
    talk(0, board, former)
    gateway = Line(True)
    gateway.hello()

    talk(0, board, gateway)

    assert board.state == gateway.state == CONNECTING
    assert board.stream == gateway.stream != 77


def test_gateway_that_was_restarted_answers_old_frames_with_the_end():
    board, _ = pair()
    board.send(b"x")
    talk(0, board, Line(True))
    assert board.state == NONE


def test_end_can_be_told_at_once():
    board, gateway = pair()
    gateway.reset()
    talk(0, board, gateway)
    assert (board.state, gateway.state) == (NONE, NONE)


def test_line_is_asked_for_and_given():
    board, gateway = pair()
    gateway.tell_repl()
    board.feed(0, gateway.output(0))
    assert board.repl and not gateway.repl

    board.tell_repl()
    gateway.feed(0, board.output(0))
    assert gateway.repl


def test_numbers_wrap():
    board, gateway = pair()
    for number in range(1000):
        board.send(b"%d" % number)
        talk(number, board, gateway)
        assert bytes(gateway.take(10)) == b"%d" % number
