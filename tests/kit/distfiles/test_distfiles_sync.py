# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit distfiles-sync`` to folders and to a real S3 server (rclone), from a kit on a real git server."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from autogen_services import Services, serving
from kit_command import World
from kit_tree import Tree, digests, ebuild
from served import kept_port

KEY, SECRET = "key-id", "secret-key"


@pytest.fixture
def services() -> Iterator[Services]:
    with serving() as running:
        yield running


class Mirror:
    """A kit with two packages of three distfiles, where they come from, and the command."""

    def __init__(self, world: World, services: Services) -> None:
        self.world, self.services = world, services
        tree = Tree(cached=False)
        for version in ("1.0", "1.1"):
            tree.add("dev-libs/one", version)
        tree.add("dev-libs/two", "2")
        for path, content in tree.files.items():
            if path.endswith(".ebuild"):
                base = "mirror://up" if "two" in path else f"{services.base}/up"
                tree.files[path] = content.replace(b'SRC_URI="https://example.org', f'SRC_URI="{base}'.encode())
        tree.commit(world.create("app-kit"), "main")
        for name in ("one-1.0.tar.gz", "one-1.1.tar.gz", "two-2.tar.gz"):
            services.files[f"/up/{name}"] = name.encode()

    def spec(self, **more: Any) -> None:
        mirrors = [{"alias": "up", "uri": [f"{self.services.base}/none", f"{self.services.base}/up"]}]
        target = {"name": "app-kit", "url": "URL(app-kit)", "branch": "main", "thirdpartymirrors": mirrors}
        self.world.spec("spec.yml", yaml.safe_dump({"target": target, **more}))

    def run(self, *words: object, status: int = 0, **env: str) -> dict[str, Any]:
        common = ["--specfile", "spec.yml", "--to", "work", "--store", "store", "--json"]
        ran = self.world.run("kit", "distfiles-sync", *common, *words, **env)
        assert ran.status == status, ran.err + ran.out
        found: dict[str, Any] = json.loads(ran.out) if ran.out.startswith("{") else {"err": ran.err}
        return found


@pytest.fixture
def mirror(world: World, services: Services) -> Mirror:
    mirror = Mirror(world, services)
    mirror.spec()
    return mirror


ALL = ["one-1.0.tar.gz", "one-1.1.tar.gz", "two-2.tar.gz"]


def test_a_folder(mirror: Mirror) -> None:
    folder = mirror.world.folder / "mirror"
    summary = mirror.run("--download-dir", "mirror")
    assert summary["distfiles"] == {"brought": ALL}
    assert summary["stats"]["tot_atoms"] == 3 and summary["stats"]["tot_errors"] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        **{name: name.encode() for name in ALL},
        "layout.conf": b"[structure]\n0=flat\n",
    }
    asked = len(mirror.services.asked)
    (folder / "one-1.0.tar.gz").write_bytes(b"one-1.0.tar.gX")
    (folder / "two-2.tar.gz").write_bytes(b"cut")
    assert mirror.run("--download-dir", "mirror", "--check-only-size")["distfiles"]["brought"] == ["two-2.tar.gz"]
    assert mirror.run("--download-dir", "mirror")["distfiles"]["brought"] == ["one-1.0.tar.gz"]
    assert mirror.run("--download-dir", "mirror")["distfiles"] == {"present": ALL}
    assert len(mirror.services.asked) == asked, "what the store has is not asked for again"


def test_content_hash_layout(mirror: Mirror) -> None:
    mirror.run("--download-dir", "mirror", "--layout", "content-hash", "--pkg", "dev-libs/two")
    digest = hashlib.sha512(b"two-2.tar.gz").hexdigest()
    file = mirror.world.folder / "mirror" / digest[:2] / digest[2:4] / digest[4:6] / digest
    assert file.read_bytes() == b"two-2.tar.gz"
    assert (mirror.world.folder / "mirror/layout.conf").read_text() == "[structure]\n0=content-hash SHA512 8:8:8\n"
    assert len([path for path in (mirror.world.folder / "mirror").rglob("*") if path.is_file()]) == 2
    assert "bad-layout" in mirror.run("--layout", "sideways", status=1)["err"]


def test_what_cannot_be_brought(mirror: Mirror) -> None:
    mirror.services.files["/up/one-1.0.tar.gz"] = b"one-1.0.tar.g!"
    del mirror.services.files["/up/two-2.tar.gz"]
    summary = mirror.run("--download-dir", "mirror", status=1)
    assert summary["distfiles"] == {"brought": ["one-1.1.tar.gz"], "failed": ["one-1.0.tar.gz", "two-2.tar.gz"]}
    assert {error["atom"]: error["file"] for error in summary["atoms_errors"]} == {
        "dev-libs/one-1.0": "one-1.0.tar.gz",
        "dev-libs/two-2": "two-2.tar.gz",
    }
    assert {problem["code"] for problem in summary["problems"]} == {"distfile-mismatch", "distfile-unavailable"}
    assert sorted(path.name for path in (mirror.world.folder / "mirror").iterdir()) == ["layout.conf", "one-1.1.tar.gz"]


def test_fallback_mirrors_and_summary(mirror: Mirror) -> None:
    for name in ALL:
        content = mirror.services.files.pop(f"/up/{name}")
        digest = hashlib.sha512(content).hexdigest()
        where = (
            f"/hash/{digest[:2]}/{digest[2:4]}/{digest[4:6]}/{digest}" if name.startswith("one") else f"/plain/{name}"
        )
        mirror.services.files[where] = content
    mirror.services.files["/hash/layout.conf"] = b"[structure]\n0=content-hash SHA512 8:8:8\n1=flat\n"
    base = mirror.services.base
    flat = {"alias": "b", "uri": [f"{base}/plain/"], "layout": {"modes": [{"type": "flat"}]}}
    mirror.spec(fallback_mirrors=[{"alias": "a", "uri": [f"{base}/hash"]}, flat])
    file = mirror.world.folder / "summary.yml"
    summary = mirror.run("--download-dir", "mirror", "--write-summary-file", file, "--dry-run")
    assert summary["distfiles"] == {"missing": ALL} and not (mirror.world.folder / "mirror").exists()
    summary = mirror.run("--download-dir", "mirror", "--write-summary-file", file, "--summary-format", "yaml")
    assert summary["distfiles"] == {"brought": ALL}
    assert json.loads(file.read_text())["distfiles"] == {"brought": ALL}


def test_a_package_whose_manifest_is_half_written(mirror: Mirror) -> None:
    tree = Tree(cached=False)
    tree.add("dev-libs/three", "3")
    tree.files["dev-libs/three/Manifest"] = digests("three-3.tar.gz")[:60].encode()
    tree.commit(mirror.world.kit("app-kit"), "main")
    tree.files["dev-libs/four/four-4.ebuild"] = ebuild("four")
    tree.commit(mirror.world.kit("app-kit"), "main")
    summary = mirror.run("--download-dir", "mirror", status=1)
    assert summary["distfiles"] == {"brought": ALL}
    assert {problem["code"] for problem in summary["problems"]} == {"bad-manifest", "manifest-incomplete"}


# S3.


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """rclone's S3 server on a folder; each folder in it is a bucket."""
    program = shutil.which("rclone") or str(Path(sys.executable).parent / "rclone")
    command = [
        program,
        "serve",
        "s3",
        "--auth-key",
        f"{KEY},{SECRET}",
        "--config",
        "",
        "--cache-dir",
        f"{folder}.cache",
    ]
    with (
        kept_port() as port,
        subprocess.Popen([*command, "--addr", f"127.0.0.1:{port}", folder], stderr=subprocess.DEVNULL) as process,
    ):
        try:
            for _ in range(400):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_bucket(mirror: Mirror, tmp_path: Path) -> None:
    bucket = tmp_path / "s3/bucket"
    bucket.mkdir(parents=True)
    with s3_server(tmp_path / "s3") as url:
        account = {"MINIO_URL": url, "MINIO_BUCKET": "bucket", "MINIO_ID": KEY, "MINIO_SECRET": SECRET}
        words = ("--backend", "s3", "--minio-prefix", "distfiles")
        assert mirror.run(*words, **account)["distfiles"] == {"brought": ALL}
        assert (bucket / "distfiles/two-2.tar.gz").read_bytes() == b"two-2.tar.gz"
        assert (bucket / "distfiles/layout.conf").read_bytes() == b"[structure]\n0=flat\n"
        head = metadata_of(url, "distfiles/two-2.tar.gz")
        assert head == {"sha512": hashlib.sha512(b"two-2.tar.gz").hexdigest(),
                        "blake2b": hashlib.blake2b(b"two-2.tar.gz").hexdigest()}  # fmt: skip
        assert mirror.run(*words, **account)["distfiles"] == {"present": ALL}
        client = client_of(url)
        client.delete_object(Bucket="bucket", Key="distfiles/one-1.0.tar.gz")
        client.put_object(Bucket="bucket", Key="distfiles/one-1.1.tar.gz", Body=b"longer than it was")
        assert mirror.run(*words, **account)["distfiles"]["brought"] == ALL[:2]
        client.put_object(Bucket="bucket", Key="distfiles/one-1.0.tar.gz", Body=b"one-1.0.tar.gX")
        client.put_object(Bucket="bucket", Key="distfiles/one-1.1.tar.gz", Body=b"one-1.1.tar.gz")
        assert metadata_of(url, "distfiles/one-1.0.tar.gz") == {}, "an object of another program's has to be read"
        assert mirror.run(*words, **account)["distfiles"] == {"brought": [ALL[0]], "present": ALL[1:]}
        wrong = {**account, "MINIO_SECRET": "wr0ng-secret"}
        failed = mirror.run(*words, status=1, **wrong)
        assert "wr0ng-secret" not in json.dumps(failed)
    missing = mirror.run("--backend", "s3", status=1)
    assert "no-bucket" in missing["err"] and "MINIO_BUCKET" in missing["err"]


def client_of(url: str) -> Any:
    """boto3's client for the server."""
    from farm.kit.distfiles.bucket import Account, Bucket

    return Bucket(Account(url, "bucket", KEY, SECRET))._client


def metadata_of(url: str, key: str) -> dict[str, str]:
    """An object's user metadata."""
    found: dict[str, str] = client_of(url).head_object(Bucket="bucket", Key=key)["Metadata"]
    return {name.lower(): value for name, value in found.items() if name.lower() in ("sha512", "blake2b")}
