# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots out of packages, here those of a wagon that the Go tool made."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner

from farm.cli.rootfs import rootfs
from farm.client.database import Database
from farm.client.rootfs import Wanted, create_rootfs
from farm.spec.problem import FarmError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")

WAGON = Path(__file__).parent.parent / "data/wagons/go"
WANTED = Wanted([str(WAGON)], ["meta/full"], finalizers=False)


def test_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "root"
    target.mkdir()
    result = create_rootfs(WANTED, str(target))
    assert {str(one.id) for one in result.installed} >= {"meta/full-1.0", "lib/greet-1.0", "app/greeter-1.0"}
    assert stat.S_IMODE((target / "usr/bin/greeter").stat().st_mode) == 0o4755
    assert os.getxattr(target / "usr/bin/greeter-cap", "security.capability")
    assert (target / "usr/bin/greeter-hard").samefile(target / "usr/bin/greeter-cap")
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert not (target / "usr/include").exists(), "devel is not enabled"
    assert [path.name for path in (target / "var/cache/luet").iterdir()] == ["anise.sqlite"]
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    with Database(target / "var/cache/luet/anise.sqlite") as database:
        requested = [str(one.id) for one in database.installed() if one.requested]
    assert requested == ["meta/full-1.0"]
    with pytest.raises(FarmError) as caught:
        create_rootfs(WANTED, str(target))
    assert caught.value.code == "not-empty"


def test_subsets_and_the_command(tmp_path: Path) -> None:
    target = tmp_path / "root"
    arguments = ["create", "--wagon", str(WAGON), "-p", "lib/greet,app/greeter", "--subsets", "devel", str(target)]
    result = CliRunner().invoke(rootfs, arguments)
    assert result.exit_code == 0, result.output
    assert (target / "usr/include/greet.h").exists() and (target / "usr/bin/greeter").exists()


def test_a_failing_finalizer_is_the_exit_status(tmp_path: Path) -> None:
    """The root has no shell."""
    arguments = ["create", "--wagon", str(WAGON), "-p", "app/editor-a", str(tmp_path / "root")]
    assert CliRunner().invoke(rootfs, arguments).exit_code == 1
    assert (tmp_path / "root/usr/bin/editor-a").exists()
    (tmp_path / "root").rename(tmp_path / "other")
    assert CliRunner().invoke(rootfs, [*arguments, "--skip-finalizers"]).exit_code == 0


def test_a_tarball_is_the_same_each_time(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        create_rootfs(WANTED, str(tmp_path / name / "root.tar.zst"))
        made.append((tmp_path / name / "root.tar.zst").read_bytes())
        assert [path.name for path in (tmp_path / name).iterdir()] == ["root.tar.zst"]
        time.sleep(1.1 if name == "a" else 0)
    assert made[0] == made[1]
    content = zstandard.ZstdDecompressor().decompressobj().decompress(made[0])
    (tmp_path / "root.tar").write_bytes(content)
    with tarfile.open(tmp_path / "root.tar") as tar:
        members = {member.name: member for member in tar}
    assert members["usr/bin/greeter"].mode == 0o4755
    assert "SCHILY.xattr.security.capability" in members["usr/bin/greeter-cap"].pax_headers
    assert members["etc/greeter.conf"].mtime == 981173106
    assert "var/cache/luet/anise.sqlite" in members


def test_what_is_made_in_the_last_moment_of_a_second_has_the_fixed_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's clock for files is late: a new file can be a second older than what the clock said before."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 1)
    create_rootfs(WANTED, str(tmp_path / "root.tar"))
    with tarfile.open(tmp_path / "root.tar") as tar:
        late = [member.name for member in tar if member.mtime > now() - 3600]
    assert late == []


def test_an_image_layout(tmp_path: Path) -> None:
    for tag in ("one", "two", "one"):
        create_rootfs(WANTED, f"oci:{tmp_path}/layout:{tag}")
    index = json.loads((tmp_path / "layout/index.json").read_bytes())
    tags = [one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]]
    assert tags == ["two", "one"]

    def blob(descriptor: dict[str, Any]) -> bytes:
        content = (tmp_path / "layout/blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == descriptor["digest"]
        assert len(content) == descriptor["size"]
        return content

    manifest = json.loads(blob(index["manifests"][0]))
    assert json.loads(blob(manifest["config"]))["os"] == "linux"
    blob(manifest["layers"][0])
    assert len(list((tmp_path / "layout/blobs/sha256").iterdir())) == 3, "both tags are one image"


def test_a_docker_image(docker_host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import docker

    monkeypatch.setenv("DOCKER_HOST", docker_host)
    name = f"farm-test/rootfs:{os.getpid()}"
    create_rootfs(WANTED, f"docker:{name}")
    client = docker.from_env()
    try:
        assert client.images.get(name).attrs["RootFS"]["Layers"]
        client.images.remove(name)
    finally:
        client.close()


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    for target in ("root", "root.tar.zst"):
        wanted = Wanted([str(WAGON)], ["meta/full", "none/such"])
        with pytest.raises(FarmError):
            create_rootfs(wanted, str(tmp_path / target))
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(FarmError) as caught:
        create_rootfs(WANTED, str(tmp_path / "none/root"))
    assert caught.value.code == "bad-target"
