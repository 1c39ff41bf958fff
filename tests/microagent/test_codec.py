"""The codec, both of its halves, and the msgpack library agree, whatever comes."""

import msgpack
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fieldconf_microagent import codec, codec_fast, envelope, topics

integers = st.integers(-(1 << 63), (1 << 64) - 1)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.binary(max_size=300),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(st.text(max_size=5), inner, max_size=20)
        | st.dictionaries(integers, inner, max_size=5)
    ),
    max_leaves=30,
)


def test_the_library_is_used_where_it_is_installed():
    assert codec.pack is codec_fast.pack
    assert codec.unpack is codec_fast.unpack


@given(values)
def test_both_halves_write_the_same_bytes_and_read_them_back(value):
    packed = codec.pack_plain(value)

    assert codec_fast.pack(value) == packed
    assert codec.unpack_plain(packed) == value
    assert codec_fast.unpack(packed) == value
    assert msgpack.unpackb(packed, strict_map_key=False) == value


@given(values)
def test_what_other_libraries_write_is_read(value):
    packed = msgpack.packb(value)

    assert codec.unpack_plain(packed) == value
    assert codec_fast.unpack(packed) == value


@given(st.dictionaries(st.text(max_size=5), integers, min_size=2))
def test_the_order_of_a_map_does_not_show(value):
    backwards = dict(reversed(value.items()))

    assert codec.pack_plain(backwards) == codec.pack_plain(value)
    assert codec_fast.pack(backwards) == codec_fast.pack(value)


def outcome(unpack, data, **bounds):
    try:
        return repr(unpack(data, **bounds))
    except codec.CodecError:
        return "refused"


@settings(max_examples=1000)
@given(st.binary(max_size=60))
def test_both_halves_judge_rubbish_alike(data):
    assert outcome(codec_fast.unpack, data) == outcome(codec.unpack_plain, data)


@settings(max_examples=500)
@given(values, st.data())
def test_both_halves_judge_damaged_messages_alike(value, data):
    packed = bytearray(codec.pack(value))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(packed) - 1))
        packed[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 3))
    damaged = bytes(packed[: len(packed) - cut])

    assert outcome(codec_fast.unpack, damaged) == outcome(codec.unpack_plain, damaged)


@given(values, st.integers(0, 4), st.integers(0, 40), st.integers(0, 400))
def test_both_halves_keep_the_same_bounds(value, depth, items, length):
    data = codec.pack(value)
    bounds = {"max_bytes": length, "max_depth": depth, "max_items": items}

    assert outcome(codec_fast.unpack, data, **bounds) == outcome(codec.unpack_plain, data, **bounds)


@pytest.mark.parametrize(
    "value",
    ["\ud800", {"a": "\udfff"}, {True: 1}, {1.5: 1}, {b"a": 1}, {(): 1}, [{1: 1, "a": 1}]],
    ids=repr,
)
def test_both_halves_refuse_the_same_values(value):
    for pack in (codec.pack_plain, codec_fast.pack):
        with pytest.raises(codec.CodecError):
            pack(value)


def test_a_small_message_cannot_claim_much_memory():
    # Each level claims four billion items.
    for head in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff\x01", b"\xdc\xff\xff"):
        for unpack in (codec.unpack_plain, codec_fast.unpack):
            with pytest.raises(codec.CodecError):
                unpack(head * 1000)


@given(st.text(max_size=20))
def test_every_name_survives_its_topic(name):
    assume(name.isprintable())
    segment = topics.esc(name)

    assert topics.unesc(segment) == name
    assert not set(segment) & set("/+#\0 ")


@given(st.text(alphabet="ab=0123456789ABCDEFabcdef%", max_size=8))
def test_a_segment_is_the_only_one_of_its_name(segment):
    try:
        name = topics.unesc(segment)
    except ValueError:
        return
    assert topics.esc(name) == segment


@given(st.binary(max_size=80))
def test_rubbish_never_opens_an_envelope(data):
    with pytest.raises(envelope.EnvelopeError):
        envelope.open_sealed(b"k" * 32, "n1", "want", data)
