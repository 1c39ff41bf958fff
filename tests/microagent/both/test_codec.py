from fieldconf_microagent import codec

# What a value looks like in msgpack, from the format's own description.
VECTORS = [
    (None, "c0"),
    (False, "c2"),
    (True, "c3"),
    (0, "00"),
    (127, "7f"),
    (128, "cc80"),
    (255, "ccff"),
    (256, "cd0100"),
    (65535, "cdffff"),
    (65536, "ce00010000"),
    (4294967296, "cf0000000100000000"),
    (18446744073709551615, "cfffffffffffffffff"),
    (-1, "ff"),
    (-32, "e0"),
    (-33, "d0df"),
    (-128, "d080"),
    (-129, "d1ff7f"),
    (-32768, "d18000"),
    (-32769, "d2ffff7fff"),
    (-2147483649, "d3ffffffff7fffffff"),
    (-9223372036854775808, "d38000000000000000"),
    (1.5, "cb3ff8000000000000"),
    ("", "a0"),
    ("é", "a2c3a9"),
    ("x" * 31, "bf" + "78" * 31),
    ("x" * 32, "d920" + "78" * 32),
    ("x" * 256, "da0100" + "78" * 256),
    (b"", "c400"),
    (b"\x00\xff", "c40200ff"),
    (b"x" * 256, "c50100" + "78" * 256),
    ([], "90"),
    ([1, [2]], "92019102"),
    ([0] * 16, "dc0010" + "00" * 16),
    ({}, "80"),
    ({"b": 1, "a": 2, "aa": 3}, "83a16102a2616103a16201"),
    ({10: "x", -1: "y", 2: "z"}, "83ffa17902a17a0aa178"),
]

BROKEN = {
    "nothing": "",
    "integer cut short": "cd01",
    "text cut short": "a3616",
    "two values": "0101",
    "bytes longer than the data": "c6ffffffff00",
    "text longer than the data": "dbffffffff00",
    "list longer than the data": "ddffffffff00",
    "map longer than the data": "dfffffffff00",
    "text that is not UTF-8": "a1ff",
    "extension": "d40100",
    "extension of no length": "c70001",
    "time stamp": "d6ff00000000",
    "unused code": "c1",
    "key is a list": "819001",
    "key is nil": "81c001",
    "key is true": "81c301",
    "key is a float": "81cb000000000000000001",
    "key is doubled": "82a16101a16102",
    "nested too deep": "91" * 17 + "00",
}


def both():
    return ((codec.pack, codec.unpack), (codec.pack_plain, codec.unpack_plain))


def refuses(function, *arguments):
    try:
        function(*arguments)
    except codec.CodecError:
        return True
    return False


def test_values_have_the_encoding_that_the_format_says():
    for pack, unpack in both():
        for value, encoded in VECTORS:
            assert pack(value).hex() == encoded, (value, encoded)
            assert unpack(bytes.fromhex(encoded)) == value, encoded


def test_longer_forms_than_needed_are_read():
    for _, unpack in both():
        assert unpack(bytes.fromhex("cf0000000000000001")) == 1
        assert unpack(bytes.fromhex("d3ffffffffffffffff")) == -1
        assert unpack(bytes.fromhex("db0000000161")) == "a"
        assert unpack(bytes.fromhex("dd0000000101")) == [1]
        assert unpack(bytes.fromhex("df00000001a16101")) == {"a": 1}
        assert unpack(bytes.fromhex("ca3fc00000")) == 1.5


def test_tuples_and_buffers_are_carried_as_lists_and_bytes():
    for pack, unpack in both():
        assert unpack(pack((1, bytearray(b"x"), memoryview(b"y")))) == [1, b"x", b"y"]
        assert unpack(bytearray(b"\x01")) == 1
        assert unpack(memoryview(b"\xc4\x01x")) == b"x"


def test_broken_data_is_refused_with_one_error():
    for _, unpack in both():
        for name in sorted(BROKEN):
            data = BROKEN[name]
            assert refuses(unpack, bytes.fromhex(data + "0" * (len(data) % 2))), name


def test_the_bounds_hold_to_the_last_item():
    for pack, unpack in both():
        data = pack([[1, 2], {"a": 3}])
        assert unpack(data, len(data), 2, 5) == [[1, 2], {"a": 3}]
        assert refuses(unpack, data, len(data) - 1, 2, 5)
        assert refuses(unpack, data, len(data), 1, 5)
        assert refuses(unpack, data, len(data), 2, 4)


def test_what_can_be_packed_can_be_unpacked():
    for pack, unpack in both():
        deep = 1
        for _ in range(16):
            deep = [deep]
        assert unpack(pack(deep)) == deep
        assert refuses(pack, [deep])


def test_other_values_are_not_packed():
    for pack, _ in both():
        for value in (1 << 64, -(1 << 63) - 1, object(), {1, 2}, {None: 1}, {1: 1, "a": 2}):
            assert refuses(pack, value), value
        endless = []
        endless.append(endless)
        assert refuses(pack, endless)
