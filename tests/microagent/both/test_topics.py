from fieldconf_microagent import topics


def test_topics_are_those_of_the_design():
    assert topics.want("fc", "n7") == "fc/n7/want"
    assert topics.have("fc", "n7") == "fc/n7/have"
    assert topics.live("fc", "n7") == "fc/n7/live"
    assert topics.pulse("fc", "n7") == "fc/n7/pulse"
    assert topics.do("fc", "n7") == "fc/n7/do"
    assert topics.did("fc", "n7") == "fc/n7/did"
    assert topics.ask("fc", "n7") == "fc/n7/ask"
    assert topics.get("fc", "n7") == "fc/n7/get"
    assert topics.put("fc", "n7") == "fc/n7/put"
    assert topics.log("fc", "n7") == "fc/n7/log"
    assert topics.exports("fc", "k3v9x2ab", "Web Server", "n7") == "fc/x/k3v9x2ab/Web=20Server/n7"


def test_a_topic_is_taken_apart_into_what_made_it():
    for kind in topics.KINDS:
        assert topics.parse("fc", topics.topic("fc", "n7", kind)) == (kind, "n7")
    for prefix in ("Web", "a/b", "+", "#", "=", "é", "a.b c"):
        topic = topics.exports("fc", "k3v9x2ab", prefix, "n7")
        assert topics.parse("fc", topic) == ("x", "k3v9x2ab", prefix, "n7")


def test_a_node_called_x_is_not_taken_for_exports():
    assert topics.parse("fc", "fc/x/want") == ("want", "x")


def test_topics_of_others_are_not_ours():
    for topic in ("", "fc", "fc/n7", "fc/n7/other", "other/n7/want", "fc/x/a/b", "fc/x/a/b/c/d"):
        assert topics.parse("fc", topic) is None


def test_segments_that_nobody_writes_are_not_ours():
    for segment in ("a=2", "a=zz", "=2e", "=41", "=FF", "a b", "="):
        assert topics.parse("fc", "fc/x/k3v9x2ab/" + segment + "/n7") is None, segment


def test_escaping_is_undone():
    for name in ("", "A-Z_9", "ü/€ + #", "=", "==3D"):
        assert topics.unesc(topics.esc(name)) == name
    assert topics.esc("a=é") == "a=3D=C3=A9"
