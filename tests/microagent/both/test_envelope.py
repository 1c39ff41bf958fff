from fieldconf_microagent import codec, envelope

KEY = b"k" * 32


def reason(data, key=KEY, node="n1", kind="want", most=1000):
    try:
        envelope.open_sealed(key, node, kind, data, most)
    except envelope.EnvelopeError as error:
        return error.reason
    return "opened"


def test_what_was_sealed_is_opened():
    for payload in (b"", b"hello", bytes(range(256))):
        sealed = envelope.seal(KEY, "n1", "want", payload)
        assert envelope.open_sealed(KEY, "n1", "want", sealed) == payload


def test_an_envelope_is_the_same_on_both_pythons():
    sealed = envelope.seal(KEY, "n1", "want", b"hello")
    mac = "ce6daadab7029edcbc25d46303c19a9a29587032192934fab429ecf2a660bfcf"
    assert sealed.hex() == "9501a26e31a477616e74c40568656c6c6fc420" + mac


def test_envelopes_for_others_are_refused():
    sealed = envelope.seal(KEY, "n1", "want", b"hello")

    assert reason(sealed) == "opened"
    assert reason(sealed, key=b"j" * 32) == "mac"
    assert reason(sealed, node="n2") == "other-node"
    assert reason(sealed, kind="do") == "other-kind"
    assert reason(sealed, most=len(sealed) - 1) == "too-long"


def test_a_seal_does_not_move_to_another_node_or_kind():
    mac = codec.unpack(envelope.seal(KEY, "n1", "want", b"hello"))[4]
    # The last one has the same letters, cut in another place.
    for node, kind in (("n2", "want"), ("n1", "do"), ("n1w", "ant")):
        forged = codec.pack([1, node, kind, b"hello", mac])
        assert reason(forged, node=node, kind=kind) == "mac"


def test_every_changed_byte_is_noticed():
    sealed = envelope.seal(KEY, "n1", "want", b"hello")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert reason(bytes(changed)) != "opened", place
        assert reason(sealed[:place]) == "undecodable", place
    assert reason(sealed + b"\x00") == "undecodable"


def test_a_newer_format_is_told_from_rubbish():
    assert reason(codec.pack([2, {"anything": ["else"]}])) == "format"
    for rubbish in (1, "want", [], [True], ["1"], {}, [1], [1, "n1", "want", "text", b"mac"]):
        assert reason(codec.pack(rubbish)) == "undecodable", rubbish
