"""The modules that a Puppet recipe asks for: read, found, and told when they are missing."""

import pytest

from fieldconf_microagent import installer_puppet_modules as puppet_modules


def test_names_and_versions_are_read():
    text = "# ours\npuppetlabs/stdlib = 4.1.0\n\n!old\npuppetlabs-apt: >= 1.0 < 2.0\nsaz-sudo\n"

    assert puppet_modules.read(text) == [
        ("puppetlabs-apt", ">= 1.0 < 2.0"),
        ("puppetlabs/stdlib", "4.1.0"),
        ("saz-sudo", ""),
    ]


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("1.2.3", "", True),
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "1.2.4", False),
        ("1.10.0", "1.x", True),
        ("10.0.0", "1.x", False),
        ("1.10.0", ">= 1.9.0 < 2.0.0", True),
        ("2.0.0", ">=1.9.0 <2.0.0", False),
        ("1.0.0", "<= 1.0.0", True),
        ("1.0.0", "> 1.0.0", False),
        ("1.0.0", "newest", False),
        ("unknown", "1.0.0", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version, wanted, fits):
    assert puppet_modules.fits(version, wanted) is fits


def test_the_first_folder_that_has_a_module_counts(tmp_path):
    for folder, version in (("one", "1.0.0"), ("two", "2.0.0")):
        (tmp_path / folder / "stdlib").mkdir(parents=True)
        metadata = tmp_path / folder / "stdlib" / "metadata.json"
        metadata.write_text(f'{{"version": "{version}"}}')
    folders = [str(tmp_path / name) for name in ("none", "one", "two")]
    wanted = [("puppetlabs-apt", ""), ("puppetlabs/stdlib", "2.x")]

    assert puppet_modules.lacking(wanted, folders) == [
        ("puppetlabs-apt", "", ""),
        ("puppetlabs/stdlib", "2.x", "1.0.0"),
    ]
    assert puppet_modules.lacking(wanted[1:], folders[2:]) == []


def test_what_is_missing_is_told_with_what_to_do():
    told = puppet_modules.explain([("puppetlabs-stdlib", "2.0.0", "1.0.0")])

    assert told == (
        "Error: cannot find the Puppet module puppetlabs-stdlib 2.0.0 (there is 1.0.0); run "
        "'puppet module install puppetlabs-stdlib --version \"2.0.0\"' on the node, "
        "or put it into the recipe as stdlib/"
    )
