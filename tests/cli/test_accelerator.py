# SPDX-License-Identifier: GPL-3.0-or-later
"""Native compilers over an emulated root give the same bytes as the root's own. Slow: makes a foreign seed."""

from __future__ import annotations

import shutil
import time
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
    assert farm.build("seed/cross", "--platform", ARM, "--no-cross", limit=1800)["status"] == 0
    assert farm.build("native/gcc-arm64", limit=1800)["status"] == 0
    digests, seconds = [], []
    for options in ((), ("--no-accelerator",)):
        began = time.monotonic()
        built = farm.build("app/objects", "--platform", ARM, *options, limit=1800)
        seconds.append(time.monotonic() - began)
        assert built["status"] == 0, built
        digests.append([package["sha256"] for package in built["packages"]])
    assert digests[0] == digests[1]
    print(f"native compilers {seconds[0]:.1f} s, emulated {seconds[1]:.1f} s")
