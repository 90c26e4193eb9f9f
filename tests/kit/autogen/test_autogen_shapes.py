# SPDX-License-Identifier: GPL-3.0-or-later
"""Specifications as kit-fixups has them, with all that they do with templates, slots and YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
from autogen_project import Project
from autogen_services import GitHub

DATA = Path(__file__).parents[2] / "data/kits/autogen-specs"
RELEASES = [
    {"tag_name": "v1.83.119", "name": "Release v1.83.119 (Chromium 141)\r\n"},
    {
        "tag_name": "v1.83.112",
        "name": "Release v1.83.112 (Chromium 141.0)",
        "assets": {"brave-browser-1.83.112-linux-amd64.zip": b"zip"},
    },
    {"tag_name": "v1.84", "name": "Nightly v1.84"},
]


def page(*links: str) -> bytes:
    """A folder as a web server shows it."""
    return "".join(f'<a href="{link}">{link}</a>' for link in links).encode()


@pytest.fixture
def shapes(project: Project, github: GitHub) -> Project:
    """The specification, and everything that it asks for."""
    files, base = project.services.files, project.services.base
    files["/drv/"] = page("../", "535.104.05/", "535.86.05/", "570.181/", "570.172.08/", "latest.txt")
    for version in ("535.104.05", "570.172.08"):
        for arch in ("x86_64", "aarch64"):
            files[f"/drv/{version}/DRV-{arch}-{version}.run"] = version.encode()
    files["/kernel/v6.x/"] = page("linux-6.12.tar.xz", "linux-6.12.48.tar.xz", "linux-6.12.9.tar.xz",
                                  "linux-6.1.9.tar.xz", "linux-6.12.48.tar.sign")  # fmt: skip
    files["/kernel/v7.x/"] = page("linux-7.2.tar.xz", "linux-7.20.tar.xz")
    files |= {"/kernel/v6.x/linux-6.12.48.tar.xz": b"6", "/kernel/v7.x/linux-7.2.tar.xz": b"7"}
    files["/lo/old"] = page("25.2.1.2/", "25.8.1.1/", "25.9.0.0.alpha1/", "24.8.1.1/")
    files["/lo/testing/25.8.1/x86_64/LO_25.8.1.1.tar.gz"] = b"office"
    files["/updates"] = page("/updates/v1_99", "/updates/v1_100", "/updates/v0_9")
    files["/code/1.100.0/stable"] = b"code"
    github.repository("brave/brave-browser", ["v1.83.119", "v1.83.112"], RELEASES)
    project.spec((DATA / "shapes.yml").read_text().replace("BASE", base))
    project.write("simple.tmpl", (DATA / "simple.tmpl").read_text())
    return project


def test_all_of_it(shapes: Project) -> None:
    report = shapes.thin()
    assert (report["status"], report["problems"]) == (0, []), report
    assert [f"{one['package']}-{one['version']}" for one in report["packages"]] == [
        "x11-drivers/drv-535.104.05", "x11-drivers/drv-570.172.08", "sys-kernel/vanilla-sources-6.12.48",
        "sys-kernel/vanilla-sources-7.2", "app-office/lo-bin-25.8.1.1", "app-editors/vscode-bin-1.100.0",
        "www-client/brave-bin-1.83.112",
    ]  # fmt: skip
    assert shapes.services.strange == []
    kernel = shapes.ebuild("sys-kernel/vanilla-sources/vanilla-sources-7.2.ebuild")
    assert "tweak .config CONFIG_DEBUG* n\n" in kernel and "tweak .config CONFIG_A m\n" in kernel
    assert 'SLOT="7.2"' in kernel and "vanilla() { :; }" in kernel and "debian" not in kernel
    office = shapes.ebuild("app-office/lo-bin/lo-bin-25.8.1.1.ebuild")
    assert 'SLOT="25"' in office and "local major=25.8\n" in office
    drivers = shapes.ebuild("x11-drivers/drv/drv-570.172.08.ebuild")
    assert 'SLOT="570"' in drivers and drivers.count("? ( http") == 2
    assert len(shapes.made("x11-drivers/drv/Manifest").read_text().splitlines()) == 4
    assert "inherit chromium-2 xdg-utils\n" in shapes.ebuild("www-client/brave-bin/brave-bin-1.83.112.ebuild")
