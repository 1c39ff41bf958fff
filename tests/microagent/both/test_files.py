import os

from fieldconf_microagent import compat
from fieldconf_microagent.store import Store

ARGUMENT = "tmp_path"


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def refused(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        return True
    return False


def test_folders_are_made_and_removed_whole(tmp_path):
    root = str(tmp_path) + "/tree"
    compat.makedirs(root + "/a/b")
    compat.makedirs(root + "/a/b")
    write(root + "/a/b/file", b"x")
    write(root + "/a/file", b"y")
    assert compat.exists(root + "/a/b/file")

    compat.remove_tree(root + "/a/file")
    assert os.listdir(root + "/a") == ["b"]
    compat.remove_tree(root)
    assert not compat.exists(root)
    compat.remove_tree(root)


def test_links_are_removed_but_not_what_they_point_to(tmp_path):
    kept, tree = str(tmp_path) + "/kept", str(tmp_path) + "/linking"
    compat.makedirs(kept)
    write(kept + "/file", b"x")
    compat.makedirs(tree)
    # MicroPython cannot make links itself.
    os.system("ln -s '" + kept + "' '" + tree + "/folder'")
    os.system("ln -s '" + kept + "/file' '" + tree + "/file'")
    os.system("ln -s nowhere '" + tree + "/broken'")
    assert len(os.listdir(tree)) == 3

    compat.remove_tree(tree)

    assert not compat.exists(tree)
    assert compat.read_file(kept + "/file") == b"x"


def test_files_are_replaced_and_read(tmp_path):
    old, new = str(tmp_path) + "/old", str(tmp_path) + "/new"
    write(old, b"old")
    write(new, b"newer")
    compat.replace(new, old)

    assert compat.read_file(old) == b"newer"
    assert compat.size(old) == 5
    assert not compat.exists(new)


def test_store_gives_back_what_it_keeps(tmp_path):
    folder = str(tmp_path) + "/store"
    store = Store(folder)
    assert store.load("want") is None

    store.save("want", b"one")
    store.save("want", b"two")
    store.save("have", b"")

    assert Store(folder).load("want") == b"two"
    assert store.load("have") == b""
    assert sorted(os.listdir(folder)) == ["have", "want"]
    store.remove("want")
    store.remove("want")
    assert store.load("want") is None


def test_store_forgets_what_a_cut_left_half_written(tmp_path):
    folder = str(tmp_path) + "/cut"
    Store(folder).save("want", b"whole")
    write(folder + "/want.new", b"hal")
    write(folder + "/have.new", b"h")

    store = Store(folder)

    assert store.load("want") == b"whole"
    assert store.load("have") is None
    assert os.listdir(folder) == ["want"]


def test_store_keeps_the_old_when_the_new_cannot_be_written(tmp_path):
    folder = str(tmp_path) + "/full"
    store = Store(folder)
    store.save("want", b"old")
    # A folder of this name stands in the way of the new file.
    os.mkdir(folder + "/want.new")

    assert refused(store.save, "want", b"new")

    assert store.load("want") == b"old"


def test_store_starts_in_spite_of_a_folder_in_the_way(tmp_path):
    folder = str(tmp_path) + "/odd"
    compat.makedirs(folder + "/want.new")
    Store(folder).save("want", b"x")
    assert Store(folder).load("want") == b"x"
