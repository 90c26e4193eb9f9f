# SPDX-License-Identifier: GPL-3.0-or-later
"""`farm bump` as CI calls it: a tree, a wagon, a forge, git; real builds in the sandbox."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from bump_site import Site
from release_forge import ReleaseForge

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="builds in the sandbox as root")


def test_nothing_new(site: Site, forge: ReleaseForge) -> None:
    done = site.bump()
    assert (done["status"], done["moves"], done["changed"], done["asked"]) == (0, [], False, 2)
    assert not forge.refused
    assert site.dirty() == ""


def test_a_new_version_and_what_is_built_upon_it(site: Site, forge: ReleaseForge) -> None:
    forge.projects["o/greet"].tags += ["v1.2-rc1", "v1.1", "v1.0.9"]
    forge.projects["o/one"].tags += ["0.20261127"]
    before = site.files()
    dry = site.bump("--dry-run")
    assert site.files() == before and site.revision() == 1
    done = site.bump("--commit", "--author", "Bot <bot@example.org>")
    assert {key: done[key] for key in ("moves", "diff", "targets")} == {key: dry[key] for key in dry.keys() & {
        "moves", "diff", "targets"}}  # fmt: skip
    assert [(m["package"], m["from"], m["to"], m["reason"]) for m in done["moves"]] == [
        ("app/greeter", "2.0+3", "2.0+4", "below"),
        ("lib/greet", "1.0", "1.1", "upstream"),
        ("meta/one", "0.20201209", "0.20261127", "upstream"),
    ]
    after = site.files()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"app/greeter/definition.yaml", "lib/greet/definition.yaml", "meta/collection.yaml"}
    text = before["lib/greet/definition.yaml"]
    wanted = text.replace('version: "1.0"   #', 'version: "1.1"   #').replace(
        "package.version: 1.0", 'package.version: "1.1"'
    )
    assert after["lib/greet/definition.yaml"] == wanted
    assert after["meta/collection.yaml"] == before["meta/collection.yaml"].replace("0.20201209", '"0.20261127"')
    assert site.published() == {"lib/greet-1.1", "app/greeter-2.0+4", "meta/one-0.20261127", "meta/two-3"}
    assert site.content("app/greeter-2.0+4", "greeter") == "greet 1.1\n"
    assert site.git("log", "-1", "--format=%an <%ae> %s") == "Bot <bot@example.org> Bump 3 packages"
    assert site.dirty() == ""
    again = site.bump("--commit", "--author", "Bot <bot@example.org>")
    assert (again["status"], again["moves"], again["changed"], again["commits"]) == (0, [], False, [])
    assert site.git("rev-list", "--count", "HEAD") == "2"


def test_a_version_that_is_named(site: Site) -> None:
    done = site.bump("lib/greet=1.5", "--revdeps", "none")
    assert [(m["package"], m["to"], m["reason"]) for m in done["moves"]] == [("lib/greet", "1.5", "asked")]
    assert site.bump("lib/greet=1.5", "--revdeps", "none")["moves"] == []
    assert done["asked"] == 0
    refused = site.call("lib/greet=0.9", "lib/none=1", "app/greeter=x..y")
    assert refused.status == 1
    assert [code in refused.err for code in ("[not-newer]", "[unknown-target]", "[bad-version]")] == [True] * 3


def test_a_changed_spec_gets_the_next_build(site: Site) -> None:
    (site.tree / "app/greeter/build.yaml").write_text(
        'requires: [{category: lib, name: greet, version: ">=1"}]\nsteps: [cp /greet /greeter-too]\n'
    )
    (site.tree / "meta/collection.yaml").write_text(
        site.files()["meta/collection.yaml"].replace("# the second", "# the second one")
    )
    done = site.bump("--offline")
    assert [(m["package"], m["to"], m["reason"]) for m in done["moves"]] == [("app/greeter", "2.0+4", "spec")]
    assert site.published() >= {"app/greeter-2.0+4", "meta/two-3"}
    assert site.bump("--offline")["changed"] is False


def test_a_version_that_a_person_raised_is_published_with_what_follows(site: Site) -> None:
    text = site.files()["lib/greet/definition.yaml"]
    (site.tree / "lib/greet/definition.yaml").write_text(text.replace('"1.0"', '"1.0.1"'))
    done = site.bump("--offline")
    assert [(m["package"], m["to"], m["because"]) for m in done["moves"]] == [("app/greeter", "2.0+4", "lib/greet")]
    assert site.published() >= {"lib/greet-1.0.1", "app/greeter-2.0+4"}


def test_new_packages_are_published_unless_unwanted(site: Site) -> None:
    site.spec("app/fresh", "name: fresh\ncategory: app\nversion: 1\n", "image: box\nsteps: [touch /fresh]\n")
    assert site.bump("--offline", "--no-new")["targets"] == []
    assert site.bump("--offline")["targets"] == ["app/fresh-1"]
    assert "app/fresh-1" in site.published()


def test_part_of_upstream_is_out_of_reach(site: Site, forge: ReleaseForge) -> None:
    del forge.projects["o/one"]
    forge.projects["o/greet"].tags += ["v1.1"]
    done = site.bump("--revdeps", "none")
    assert done["status"] == 1
    assert [(p["code"], p["package"]) for p in done["problems"]] == [("forge-not-found", "meta/one-0.20201209")]
    assert site.published() >= {"lib/greet-1.1", "meta/one-0.20201209"}


def test_a_new_version_that_fails_changes_nothing_or_is_held_back(site: Site, forge: ReleaseForge) -> None:
    build = "image: box\nsteps: ['case $PACKAGE_VERSION in 1.0) echo ok >/greet;; *) exit 3;; esac']\n"
    (site.tree / "lib/greet/build.yaml").write_text(build)
    site.publish()
    forge.projects["o/greet"].tags += ["v1.1"]
    forge.projects["o/one"].tags += ["0.20261127"]
    before = site.files()
    done = site.bump()
    assert done["status"] == 1 and not done["written"]
    assert [f["package"] for f in done["failures"]] == ["lib/greet-1.1"]
    assert site.files() == before and site.revision() == 1
    done = site.bump("--keep-going")
    assert (done["status"], done["held"], done["written"]) == (1, ["lib/greet"], True)
    assert site.published() == {"lib/greet-1.0", "app/greeter-2.0+3", "meta/one-0.20261127", "meta/two-3"}


def test_without_a_wagon_only_new_versions_count(site: Site, forge: ReleaseForge) -> None:
    forge.projects["o/greet"].tags += ["v1.1"]
    done = site.bump("--no-build", wagon=False)
    assert [(m["package"], m["to"]) for m in done["moves"]] == [("app/greeter", "2.0+4"), ("lib/greet", "1.1")]
    assert site.bump("--no-build", wagon=False)["moves"] == []
    assert site.revision() == 1


def test_what_is_not_committed_is_not_mixed_in(site: Site, forge: ReleaseForge) -> None:
    forge.projects["o/greet"].tags += ["v1.1"]
    with open(site.tree / "lib/greet/definition.yaml", "a") as file:
        file.write("# mine\n")
    refused = site.call("--commit")
    assert refused.status == 1 and "[not-committed]" in refused.err
    assert "1.1" not in site.files()["lib/greet/definition.yaml"]


def test_git_has_to_know_who_commits(site: Site, forge: ReleaseForge) -> None:
    forge.projects["o/greet"].tags += ["v1.1"]
    nobody = {f"GIT_{who}_{key}": "" for who in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    refused = site.call("--commit", **nobody)
    assert refused.status == 1 and "[no-author]" in refused.err
    assert site.revision() == 1 and site.dirty() == ""


def test_files_of_a_spec_that_is_changed(site: Site, forge: ReleaseForge) -> None:
    (site.tree / "lib/greet/sub").mkdir()
    (site.tree / "lib/greet/sub/text").write_text("text\n")
    (site.tree / "lib/greet/build.yaml").write_text("image: box\nsteps: [cat sub/text >/greet]\n")
    forge.projects["o/greet"].tags += ["v1.1"]
    ran = site.call("--dry-run", json=False)
    assert ran.status == 0 and "run    lib/greet-1.1" in ran.out
    assert site.bump()["status"] == 0
    assert site.content("lib/greet-1.1", "greet") == "text\n"


def test_wrong_use(site: Site) -> None:
    for words, code in (
        (("--author", "nobody"), "[bad-author]"),
        (("--from-kit", str(site.tree)), "[no-kit]"),
        (("--forge", "ftp://x"), "[bad-url]"),
        (("lib/none",), "[unknown-target]"),
    ):
        ran = site.call(*words)
        assert ran.status == 1 and code in ran.err, ran
    ran = site.call(wagon=False, more=["--wagon", str(site.tree / "none")])
    assert ran.status == 1 and "[no-wagon]" in ran.err


def test_the_wagon_keeps_its_form(site: Site, forge: ReleaseForge) -> None:
    words = ("wagon", "bump", "-o", str(site.wagon), "--packages", str(site.out), "--legacy", "--with-compilertree")
    assert site.farm_call(*words, "--tree-compression", "gzip", "--descr", "mine").status == 0
    forge.projects["o/greet"].tags += ["v1.1"]
    assert site.bump()["changed"]
    text = (site.wagon / "repository.yaml").read_text()
    assert [word in text for word in ("compilertree:", "meta:", "gzip", "mine")] == [True] * 4
    assert site.sound()


def test_from_a_kit(site: Site, tmp_path: Path) -> None:
    kit = tmp_path / "kit"
    (kit / "profiles").mkdir(parents=True)
    (kit / "profiles/repo_name").write_text("kit\n")
    (kit / "app-misc/greeter").mkdir(parents=True)
    for version in ("2.1", "2.0", "9999"):
        (kit / f"app-misc/greeter/greeter-{version}.ebuild").write_text("")
    file = site.tree / "app/greeter/definition.yaml"
    file.write_text(file.read_text() + "labels:\n  emerge.packages: >-\n    dev-libs/x app-misc/greeter\n")
    assert site.bump()["moves"] == []
    done = site.bump("--from-kit", str(kit))
    assert [(m["package"], m["from"], m["to"]) for m in done["moves"]] == [("app/greeter", "2.0+3", "2.1")]


def test_for_people(site: Site, forge: ReleaseForge) -> None:
    forge.projects["o/greet"].tags += ["v1.1"]
    ran = site.call("--dry-run", json=False)
    assert '+version: "1.1"   # upstream\'s' in ran.out and "would move 2 packages" in ran.out
    ran = site.call(json=False)
    assert "2 packages moved, 2 packages made, wagon revision 2" in ran.out
    assert "nothing moved, wagon unchanged at revision 2" in site.call(json=False).out


def _git_head(folder: Path) -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_git_remotes(site: Site, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    remote.mkdir()
    environ = {
        **os.environ,
        **{f"GIT_{who}_{key}": "x" for who in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")},
    }
    for words in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "x"], ["tag", "4.0"]):
        subprocess.run(["git", *words], cwd=remote, check=True, env=environ)
    two = "- category: meta   # the second\n  name: two\n  version: '3'\n"
    site.replace("meta/collection.yaml", two, f"{two}  labels: {{autobump.strategy: git, git.url: '{remote}'}}\n")
    site.spec(
        "app/head",
        f'name: head\ncategory: app\nversion: "0.20200101"\n'
        f'labels: {{autobump.strategy: git_hash, git.hash: "", git.url: {remote}}}\n',
        'image: box\nsteps: [echo {{ index .Values.labels "git.hash" }} >/head]\n',
    )
    done = site.bump(SOURCE_DATE_EPOCH="1795000000")
    assert [(m["package"], m["to"]) for m in done["moves"]] == [("app/head", "0.20261118"), ("meta/two", "4.0")]
    assert site.content("app/head-0.20261118", "head") == f"{_git_head(remote)}\n"
    assert site.bump(SOURCE_DATE_EPOCH="1795000000")["moves"] == []
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "y"], cwd=remote, check=True, env=environ)
    done = site.bump(SOURCE_DATE_EPOCH="1795000000")
    assert [(m["package"], m["to"]) for m in done["moves"]] == [("app/head", "0.20261118+1")]
