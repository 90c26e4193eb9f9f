# SPDX-License-Identifier: GPL-3.0-or-later
"""Native compilers over an emulated root give the same bytes as the root's own.

Slow: makes a foreign seed. FARM_TEST_STORE names a store to go on from.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from farm_command import Farm

from farm.runner import binfmt
from farm.spec.platform import host_platform

ARM = "linux/arm64"
SPECS = Path(__file__).parents[2] / "specs" / "mfs-arm"

# Real code, many options: what is compared are objects with debugging information, an archive and a program.
BUILD = """
requires: [{category: seed, name: cross}]
package_dir: /out
sources:
- url: apt:pool/main/m/make-dfsg/make-dfsg_4.3.orig.tar.gz
  sha256: be4c17542578824e745f83bcd2a9ba264206187247cb6a5f5df99b0a9d1f9047
  unpack: {to: make, strip: 1}
steps:
- |
  set -e
  mkdir -p /out
  cd make/lib
  cp fnmatch.in.h fnmatch.h
  cp glob.in.h glob.h
  for way in -O2 "-Os -pipe" "-O2 -g" "-O2 -flto -frandom-seed=1" "-O1 -fPIC -save-temps=obj"; do
    name=$(echo "$way" | tr -d ' =-')
    gcc $way -DHAVE_CONFIG_H=0 -D_GNU_SOURCE -DSTDC_HEADERS -I. -c fnmatch.c -o /out/$name.o
  done
  printf 'int main(int n, char **a) { return __builtin_printf("%s: %d\\\\n", *a, n) < 0; }\\n' >main.c
  gcc -O2 -flto -frandom-seed=1 main.c /out/O2.o -o /out/program
  ar rcs /out/all.a /out/*.o
  strip -o /out/stripped /out/program
  cd /out && ./program one two >said && gcc --version | sed -n '1s/.*) //p' >version
"""


@pytest.mark.slow
def test_the_same_bytes_and_faster(farm: Farm) -> None:
    if host_platform() != "linux/amd64" or (problem := binfmt.check(ARM)):
        pytest.skip(problem.message if host_platform() == "linux/amd64" else "cross compilers here are amd64's")
    for name in ("farm.yaml", "seed", "native", "templates"):
        source, target = SPECS / name, farm.tree / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    farm.package("app/objects", BUILD)
    farm = dataclasses.replace(farm, store=Path(os.environ.get("FARM_TEST_STORE", farm.store)))
    digests, seconds = [], []
    for options in ((), ("--no-accelerator",)):
        built = farm.build("app/objects", "--platform", ARM, *options, limit=3600)
        assert built["status"] == 0, built
        digests.append([package["sha256"] for package in built["packages"]])
        nodes = farm.run("plan", "--json", "app/objects", "--platform", ARM, *options).json()["nodes"]
        seconds += [node["result"]["cpu"] for node in nodes if node["node"] == "app/objects-1.0@arm64"]
    assert digests[0] == digests[1]
    print(f"CPU seconds: native compilers {seconds[0]:.1f}, emulated {seconds[1]:.1f}")
    assert seconds[0] < seconds[1]
