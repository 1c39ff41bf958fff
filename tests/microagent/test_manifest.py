"""A manifest is taken whole with all its bounds, or refused with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldconf_microagent import codec, manifest

DIGEST = bytes(32)


def entry(path="start.sh", mode=0o755, size=10, blob_size=12, piece=4096, hashes=None, **extra):
    return [
        path,
        mode,
        extra.get("raw", DIGEST),
        size,
        extra.get("blob", DIGEST),
        blob_size,
        piece,
        hashes,
    ]


def packed(*files, total=None):
    total = sum(file[3] for file in files) if total is None else total
    return codec.pack([1, "Web", "1.0", 3, total, {}, list(files)])


def test_a_manifest_tells_what_was_written():
    read = manifest.parse(packed(entry("a/b.py"), entry("start.sh")))

    assert (read.component, read.version, read.sequence, read.size) == ("Web", "1.0", 3, 20)
    assert [file.path for file in read.files] == ["a/b.py", "start.sh"]
    assert read.files[0].blob_size == 12


def test_what_a_newer_coordinator_adds_is_ignored():
    parts = [*codec.unpack(packed([*entry(), "new"])), "newer"]

    assert len(manifest.parse(codec.pack(parts)).files) == 1


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../../b",
        "a/..",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "x" * 201,
        "é" * 101,
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path):
    with pytest.raises(manifest.ManifestError, match="path"):
        manifest.parse(packed(entry(path)))


@pytest.mark.parametrize(
    "path", ["a", ".hidden", "a/b/c", "..a", "a..", "ä ö", "x" * 200, "conf/web.cfg.mustache"]
)
def test_an_ordinary_path_is_taken(path):
    assert manifest.parse(packed(entry(path))).files[0].path == path


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([entry("a"), entry("a")], "twice"),
        ([entry("a"), entry("a/b")], "a file and a folder"),
        ([entry("a/b/c"), entry("a")], "a file and a folder"),
        ([entry(f"f{n}") for n in range(1001)], "more than 1000"),
        ([entry(raw=b"short")], "digest"),
        ([entry(blob=bytes(33))], "digest"),
        ([entry(hashes=DIGEST)], "single piece"),
        ([entry(size=9000, blob_size=5000)], "digest"),
        ([entry(blob_size=0)], "size"),
        ([entry(size=-1)], "size"),
        ([entry(size=1 << 29)], "size"),
        ([entry(size=10, blob_size=75)], "size"),
        ([entry(piece=8192)], "piece size"),
        ([entry(size=1 << 23, blob_size=1 << 23, hashes=DIGEST)], "piece size"),
        ([entry(mode=True)], "missing"),
        ([entry()[:7]], "missing"),
        (["file"], "missing"),
    ],
)
def test_a_broken_file_entry_is_refused_with_a_reason(files, text):
    total = sum(file[3] for file in files if isinstance(file, list))

    with pytest.raises(manifest.ManifestError, match=text):
        manifest.parse(packed(*files, total=total) if files[0] != "file" else packed_raw(files))


def packed_raw(files):
    return codec.pack([1, "Web", "1.0", 3, 0, {}, files])


def test_sizes_must_add_up_and_stay_in_bounds():
    with pytest.raises(manifest.ManifestError, match="add up"):
        manifest.parse(packed(entry(), total=11))

    large = entry(size=1 << 28, blob_size=4096)
    many = [[f"f{n}", *large[1:]] for n in range(5)]
    with pytest.raises(manifest.ManifestError, match="too large"):
        manifest.parse(packed(*many))


@pytest.mark.parametrize(
    "parts",
    [None, [], [2, "Web", "1", 0, 0, {}, []], [1, "Web"], [1, 2, 3, 4, 5, 6, 7], {"a": 1}],
)
def test_what_is_no_manifest_is_refused(parts):
    with pytest.raises(manifest.ManifestError):
        manifest.parse(codec.pack(parts))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_and_nothing_else_happens(data):
    with pytest.raises(manifest.ManifestError):
        manifest.parse(data)


@given(st.integers(1, 1 << 28))
def test_a_blob_has_at_most_1024_pieces_of_the_smallest_size_that_allows_it(size):
    piece = manifest.piece_size(size)

    assert manifest.pieces(size, piece) <= 1024
    assert piece == 4096 or manifest.pieces(size, piece // 2) > 1024
