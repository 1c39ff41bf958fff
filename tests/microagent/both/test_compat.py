import io

from fieldconf_microagent import compat, compat_rare

# "hello hello hello hello\n", by zlib with window 2**10.
HELLO = bytes.fromhex("cb48cdc9c957c84027b900")


def test_clock_never_goes_back():
    clock = compat.Clock()
    times = [clock.now_ms() for _ in range(100)]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1]
    assert compat.ticks_diff(compat.ticks_ms(), compat.ticks_ms()) <= 0


def test_random_numbers_stay_below_their_limit():
    seen = {compat.random_below(3) for _ in range(200)}
    assert seen == {0, 1, 2}
    assert len(compat.random_bytes(16)) == 16
    assert compat.random_bytes(16) != compat.random_bytes(16)


def test_sha256_is_sha256():
    digest = compat.sha256(b"abc").digest()
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert compat.hex(digest) == expected
    running = compat.sha256()
    running.update(b"a")
    running.update(b"bc")
    assert running.digest() == digest


def test_hmac_gives_the_results_of_rfc_4231():
    short = compat.hmac_sha256(b"Jefe", b"what do ya want for nothing?")
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert compat.hex(short) == expected
    assert compat.hmac_sha256(b"Jefe", b"what do ya want ", b"for nothing?") == short

    text = b"Test Using Larger Than Block-Size Key - Hash Key First"
    long = compat.hmac_sha256(b"\xaa" * 131, text)
    expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    assert compat.hex(long) == expected


def test_same_bytes_tells_every_difference():
    assert compat.same_bytes(b"", b"")
    assert compat.same_bytes(b"abc", b"abc")
    for other in (b"", b"ab", b"abcd", b"abd", b"bbc"):
        assert not compat.same_bytes(b"abc", other)


def inflated(data, most):
    pieces = []
    count = compat_rare.inflate(io.BytesIO(data), pieces.append, most)
    result = b"".join(pieces)
    assert count == len(result)
    return result


def test_inflate_gives_back_what_was_deflated():
    assert inflated(HELLO, 24) == b"hello hello hello hello\n"
    # A stored block: nothing is compressed.
    assert inflated(b"\x01\x03\x00\xfc\xffabc", 3) == b"abc"


def test_inflate_writes_no_more_than_it_may():
    written = []
    try:
        compat_rare.inflate(io.BytesIO(b"\x01\x03\x00\xfc\xffabc"), written.append, 2)
    except ValueError:
        assert b"".join(written) == b""
        return
    raise AssertionError("more came out than was allowed")


def test_inflate_refuses_broken_data():
    for data in (b"", b"\x01\x03\x00\xfc\xffab", b"\x07\xff\xff\xff", HELLO[:-2]):
        try:
            inflated(data, 1000)
        except ValueError:
            continue
        raise AssertionError(data)


def test_marks_are_stable_as_long_as_the_machine_runs():
    assert compat_rare.hardware_mark() == compat_rare.hardware_mark()
    assert len(compat_rare.hardware_mark()) == 16
    if compat.exists("/proc/sys/kernel/random/boot_id"):
        boot = compat.read_file("/proc/sys/kernel/random/boot_id").decode().strip()
        assert compat_rare.run_mark() == compat_rare.run_mark()
        assert compat_rare.run_mark().startswith(boot + "-")
    else:
        assert compat_rare.run_mark() != compat_rare.run_mark()


def test_platform_says_which_python_it_is():
    assert "Python " in compat_rare.platform_info()
    assert compat_rare.mem_free() >= 0
