# SPDX-License-Identifier: GPL-3.0-or-later
"""LXD itself takes the farm's image, starts it, and stops it: ``pytest -m ci tests/stage/test_lxd.py``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import lxd_server
import pytest
from lxd_server import lxc, until
from stage_site import Site

pytestmark = [
    pytest.mark.ci,
    pytest.mark.root,
    pytest.mark.skipif(not lxd_server.can_start(), reason="needs root and the package lxd"),
]
INIT = """\
set -e
mkdir -p sbin proc sys dev etc
ln -s ../bin/busybox sbin/init
echo wrong >etc/hostname
printf '%s\\n' '::sysinit:/bin/sh -c "hostname -F /etc/hostname; touch /begun"' '::shutdown:/bin/true' >etc/inittab
mknod -m 666 etc/null c 1 3
chmod 4755 root
"""


@pytest.fixture
def lxd() -> Iterator[Mapping[str, str]]:
    """A server."""
    with tempfile.TemporaryDirectory(prefix="lxd-") as folder, lxd_server.server(Path(folder)) as env:
        yield env


def test_an_image_is_imported_started_and_stopped(site: Site, lxd: Mapping[str, str]) -> None:
    hooks = [{"name": "init", "point": "after-packages", "commands": [f"cd / && {INIT}"]}]
    site.stage("system", description="A small system", hooks=hooks, outputs=["lxd"])
    assert site.build("system").status == 0
    lxc(lxd, "image", "import", str(site.tarball("system", ".lxd.tar.xz")), "--alias", "system")
    (image,) = json.loads(lxc(lxd, "image", "list", "--format", "json"))
    assert image["properties"]["description"] == "A small system"
    assert image["architecture"] == "x86_64"
    lxc(lxd, "launch", "system", "first", "-c", "security.privileged=true")
    until(lxd, "first", "test -e /begun")
    found = lxc(
        lxd, "exec", "-T", "-n", "first", "--", "sh", "-c", "hostname; cat /etc/hostname; stat -c '%a %F' /root"
    )
    assert found.split("\n")[:3] == ["first", "first", "4755 directory"]
    lxc(lxd, "stop", "first", "--timeout", "60")
    assert json.loads(lxc(lxd, "list", "--format", "json"))[0]["status"] == "Stopped"
    lxc(lxd, "delete", "first")
