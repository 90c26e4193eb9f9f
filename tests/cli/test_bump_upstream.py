# SPDX-License-Identifier: GPL-3.0-or-later
"""`farm bump`: version hooks in the sandbox, and the sha256 of new sources."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from bump_site import Site
from release_forge import Project, ReleaseForge

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="builds in the sandbox as root")


def sha256(content: bytes) -> str:
    """Its digest."""
    return hashlib.sha256(content).hexdigest()


def hooked(site: Site, hook: str, **labels: str) -> None:
    """Gives app/greeter a version hook."""
    lines = "".join(f'  {key.replace("__", ".")}: "{value}"\n' for key, value in labels.items())
    file = site.tree / "app/greeter/definition.yaml"
    text = "name: greeter\ncategory: app\nversion: 2.0+3\n"
    file.write_text(f"{text}labels:\n  autobump.strategy: custom\n{lines}  autobump.version_hook: |\n    {hook}\n")


def greeter(done: dict[str, object]) -> list[str]:
    """The versions that app/greeter is to get."""
    moves = done["moves"]
    assert isinstance(moves, list)
    return [move["to"] for move in moves if move["package"] == "app/greeter"]


def test_hooks_run_in_the_sandbox_and_anew_each_time(site: Site, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    hooked(site, f'echo nonsense >&2; touch {outside} || true; echo "v$((${{PACKAGE_VERSION%.*}}+1)).1"')
    assert greeter(site.bump("--dry-run")) == ["3.1"]
    assert not outside.exists()
    hooked(site, "echo 2.7; echo 2.10; echo latest")
    assert greeter(site.bump()) == ["2.10"]
    assert site.bump()["moves"] == []


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("exit 3", "hook failed"),
        ("echo latest", "no version"),
        ("true", "'nothing'"),
        ("rm -rf /farm-bump; ln -s /etc /farm-bump", "no answer"),
        ("rm /farm-bump/answer; ln -s ../../../../../../etc/passwd /farm-bump/answer", "no answer"),
        ("wget -q -O - http://127.0.0.1:1/ || echo no network; exit 1", "autobump.network"),
    ],
)
def test_hooks_that_give_no_version(site: Site, hook: str, said: str) -> None:
    hooked(site, hook)
    done = site.bump("--dry-run", "app/greeter")
    [problem] = done["problems"]
    assert (done["status"], problem["code"], problem["package"]) == (1, "hook-failed", "app/greeter-2.0+3")
    assert said in f"{problem['message']} {problem['hint']}"
    assert problem["file"] == str(site.tree / "app/greeter/definition.yaml")


def test_there_has_to_be_a_root_for_hooks(site: Site) -> None:
    hooked(site, "echo 9", autobump__seed="none")
    assert [p["code"] for p in site.bump("--dry-run")["problems"]] == ["unknown-image"]
    text = (site.tree / "farm.yaml").read_text()
    (site.tree / "farm.yaml").write_text(text + text.partition("\n")[2].replace("box:", "crate:"))
    hooked(site, "echo 9")
    assert [p["code"] for p in site.bump("--dry-run")["problems"]] == ["no-hook-seed"]
    assert greeter(site.bump("--dry-run", "--hook-seed", "crate")) == ["9"]


def test_a_checksum_hook(site: Site) -> None:
    hooked(site, "echo 3.0", package__checksum="0", autobump__checksum_hook="echo $PACKAGE_VERSION | sha256sum")
    site.bump()
    wanted = sha256(b"3.0\n")
    assert f'package.checksum: "{wanted}"' in site.files()["app/greeter/definition.yaml"]


SOURCED = """image: box
sources:
- url: "{base}/tool-{{{{ .Values.version }}}}.tar"
  sha256: {sha256}
  rename: tool
steps: [cp tool /{{{{ .Values.name }}}}]
"""


@pytest.mark.parametrize("place", ["build", "definition"])
def test_the_sha256_of_a_new_source_is_written_where_the_old_one_stood(
    site: Site, forge: ReleaseForge, place: str
) -> None:
    forge.files = {"/tool-1.0.tar": b"old", "/tool-1.1.tar": b"new"}
    site.replace(
        "lib/greet/definition.yaml", "category: lib\n", f"category: lib\ntool_sha256: {sha256(b'old')}  # of the tool\n"
    )
    digest = sha256(b"old") if place == "build" else "{{ .Values.tool_sha256 }}"
    if place == "build":
        site.replace("lib/greet/definition.yaml", sha256(b"old"), "none")
    (site.tree / "lib/greet/build.yaml").write_text(SOURCED.format(base=forge.base, sha256=digest))
    (site.tree / "app/greeter/build.yaml").write_text("image: box\nsteps: [touch /greeter]\n")
    site.publish()
    forge.projects["o/greet"].tags += ["v1.1"]
    done = site.bump()
    assert (done["status"], [m["to"] for m in done["moves"]]) == (0, ["1.1"]), done["problems"]
    assert site.content("lib/greet-1.1", "greet") == "new"
    file = "lib/greet/build.yaml" if place == "build" else "lib/greet/definition.yaml"
    assert f"sha256: {sha256(b'new')}" in site.files()[file].replace('"', "")
    assert forge.asked.count("/tool-1.1.tar") == 1
    assert site.bump()["moves"] == []


def test_sources_that_cannot_be_pinned_keep_the_old_version(site: Site, forge: ReleaseForge) -> None:
    forge.files = {"/tool-1.tar": b"old", "/tool-2.tar": b"new"}
    entry = "- category: c\n  name: {}\n  version: 1\n  labels: {{github.owner: o, github.repo: {}}}\n"
    site.spec(
        "shared", "packages:\n" + entry.format("one", "a") + entry.format("two", "none"),
        SOURCED.format(base=forge.base, sha256=sha256(b"old")), kind="collection",
    )  # fmt: skip
    site.spec("gone", "name: gone\ncategory: c\nversion: 1\nlabels: {github.owner: o, github.repo: b}\n",
              SOURCED.format(base=forge.base + "/gone", sha256=sha256(b"old")))  # fmt: skip
    forge.files["/gone/tool-1.tar"] = b"old"
    site.publish()
    forge.projects |= {"o/a": Project(["2"]), "o/b": Project(["2"]), "o/none": Project(["1"])}
    done = site.bump()
    assert (done["status"], done["moves"]) == (1, [])
    codes = {(p["code"], p["package"]) for p in done["problems"]}
    assert codes == {("source-unavailable", "c/gone-2"), ("pin-elsewhere", "c/two-1")}
    assert site.dirty() == ""
