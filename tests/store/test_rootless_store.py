# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside a user namespace the same archives become the same layers and packages."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import needs_root

from farm.plan.job import Pack
from farm.store.store import Store

CODE = """
import sys
from pathlib import Path
from farm.plan.job import Pack
from farm.store.store import Store
with Store(Path(sys.argv[1])) as store:
    layer = store.import_layer(Path(sys.argv[2]), skip=()).digest
    print(layer, store.pack(Pack((layer,), "root")).digest, store.flatten([layer]), store.verify() or "sound")
"""


@needs_root
def test_devices_in_a_user_namespace(store: Store, tmp_path: Path) -> None:
    probe = subprocess.run(["unshare", "--user", "--map-root-user", "true"], check=False)
    if probe.returncode:
        pytest.skip("no user namespaces here")
    with tarfile.open(tmp_path / "t.tar", "w") as file:
        for name, kind, numbers in (("dev", b"5", (0, 0)), ("dev/null", b"3", (1, 3)), ("dev/vda", b"4", (8, 1))):
            info = tarfile.TarInfo(name)
            info.type, info.mode, (info.devmajor, info.devminor) = kind, 0o640, numbers
            file.addfile(info)
    layer = store.import_layer(tmp_path / "t.tar", skip=()).digest
    package = store.pack(Pack((layer,), "root")).digest
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        sys.executable,
        "-c",
        CODE,
        tmp_path / "other",
        tmp_path / "t.tar",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [layer, package, layer, "sound"]
    assert (tmp_path / "other/layers" / layer[:2] / layer / "fs/dev/null").is_file()
