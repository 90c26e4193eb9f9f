# SPDX-License-Identifier: GPL-3.0-or-later
"""Board files: what is wrong with them is told all at once, with its place, before anything is written."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from farm.image.graph import command_line
from farm.image.read import board_files, read_board, read_boards
from farm.spec.problem import FarmError

IMAGES = Path(__file__).parents[2] / "images"

GOOD = """\
description: A board for tests
platform: linux/arm64
partitions:
- {name: boot, type: fat, size: 64M, label: BOOT, mount: /boot/firmware}
- {name: root, type: ext4, size: 60M, mount: /}
boot-loader:
- {package: boot/loader, file: usr/lib/loader.bin, offset: 8K}
kernel:
  package: kernel/linux
device-tree: vendor/board.dtb
initrd:
  busybox: root/tiny
  grow: tools/growroot
boot:
  extlinux: {}
root:
  packages: [root/tiny]
users:
- {name: root, password: secret}
first-boot: [grow-root]
"""


def problems(tmp_path: Path, text: str) -> list[tuple[str, int]]:
    """Code and line of all that is wrong with a board file."""
    file = tmp_path / "board.yaml"
    file.write_text(text)
    try:
        read_board(file, {})
    except FarmError as failure:
        places = [problem.place for problem in failure.problems]
        assert all(place and place.file == str(file) and place.column for place in places)
        return [(p.code, p.place.line) for p in failure.problems if p.place]
    return []


def test_a_good_board(tmp_path: Path) -> None:
    (tmp_path / "board.yaml").write_text(GOOD)
    board = read_board(tmp_path / "board.yaml", {})
    boot, root = board.partitions
    assert (boot.start, root.start, board.size) == (4 << 20, 68 << 20, 128 << 20)
    assert board.loaders[0].room == (4 << 20) - 8192
    assert json.dumps(board.to_json())


@pytest.mark.parametrize("way", ["extlinux: {timeout: 5}", "boot-scr: [boot]"])
def test_the_firmware_can_start_a_boot_loader(tmp_path: Path, way: str) -> None:
    """A Raspberry Pi's config.txt names U-Boot, which has a configuration of its own."""
    text = GOOD.replace("  extlinux: {}", f"  partition: boot\n  config-txt: [arm_64bit=1, kernel=u-boot.bin]\n  {way}")
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("size: 60M, mount", "start: 30M, size: 60M, mount", "partitions-overlap", 5),
        ("offset: 8K", "offset: 5M", "loader-over-partition", 7),
        ("offset: 8K", "offset: 8K, room: 8M", "loader-over-partition", 7),
        ("offset: 8K", "offset: 0", "inside-table", 7),
        ("offset: 8K", "offset: 9K, kind: egon", "bad-offset", 7),
        ("platform: linux/arm64", "platform: linux/arm64\ntable: {type: gpt}", "inside-table", 8),
        ("platform: linux/arm64", "platform: linux/arm64\nsize: 100M", "partition-outside", 6),
        ("type: ext4, size: 60M", "type: ext4, size: 60000001", "not-aligned", 5),
        ("type: ext4, size: 60M", "type: ext4, size: fill", "no-size", 5),
        ("type: ext4, size: 60M", "type: ext4, size: 1M", "too-small", 5),
        ("type: ext4, size: 60M", "type: ext4, size: many", "bad-size", 5),
        ("type: ext4, size: 60M, mount: /", "type: ext4, size: 60M, mount: /data", "no-root", 4),
        ("label: BOOT", "label: much-too-long-for-fat", "bad-label", 4),
        ("name: root, type", "name: boot, type", "same-name", 5),
        ("  extlinux: {}", "  extlinux: {}\n  boot-scr: [boot]", "bad-boot", 15),
        ("  extlinux: {}", "  partition: nowhere\n  extlinux: {}", "unknown-partition", 15),
        ("  extlinux: {}", "  config-txt: [arm_64bit=1]", "bad-boot", 15),
        ("  extlinux: {}", "  partition: boot\n  config-txt: []\n  extlinux: {}", "bad-boot", 15),
        ("  extlinux: {}", "  partition: boot\n  config-txt: [kernel=u-boot.bin]", "bad-boot", 16),
        ("  extlinux: {}", "  partition: boot\n  config-txt: [kernel = u.bin]\n  extlinux: {device-tree: file}",
         "bad-boot", 17),
        ("device-tree: vendor/board.dtb", "device-tree: ../../etc/passwd", "bad-path", 10),
        ("  packages: [root/tiny]", "  files: []", "no-root", 17),
        ("  packages: [root/tiny]", "  packages: [root/tiny]\n  files: [{path: /a}]", "bad-file", 18),
        ("  packages: [root/tiny]", "  packages: [root/tiny]\n  files: [{path: /a, source: gone}]", "missing-file", 18),
        ("password: secret", "password: secret, password-hash: x", "bad-user", 19),
        ("first-boot: [grow-root]", "first-boot: [grow-rot]", "bad-value", 20),
        ("first-boot: [grow-root]", "test:\n  machine: virt\n  install: [devel]", "bad-value", 22),
        ("  grow: tools/growroot\n", "", "no-grow", 19),
        ("kernel:\n  package", "kernel:\n  pakage", "unknown-key", 9),
        ("  package: kernel/linux", "  package: linux", "bad-value", 9),
    ],
)  # fmt: skip
def test_what_is_wrong_has_a_place(tmp_path: Path, old: str, new: str, code: str, line: int) -> None:
    assert old in GOOD
    assert (code, line) in problems(tmp_path, GOOD.replace(old, new, 1))


def under(key: str, value: str) -> tuple[str, str]:
    """A key put below another: what is replaced, and by what."""
    after = {"kernel": "  package: kernel/linux", "root": "  packages: [root/tiny]"}.get(key)
    return (after, f"{after}\n  {value}") if after else ("platform: linux/arm64", f"{value}\nplatform: linux/arm64")


HOSTILE = [
    ("type: ext4, size: 60M", "type: ext4, size: 99999999999999999999G", "bad-size", 5),
    ("type: ext4, size: 60M", "type: ext4, size: " + "9" * 5000, "bad-size", 5),
    ("type: ext4, size: 60M", "type: ext4, size: -5M", "bad-size", 5),
    ("type: ext4, size: 60M", "type: ext4, size: .inf", "wrong-type", 5),
    ("type: ext4, size: 60M", "type: ext4, size: 20T", "partition-too-large", 5),
    ("type: ext4, size: 60M", "type: ext4, size: 3T", "image-too-large", 4),
    ("type: fat, size: 64M", "type: fat, size: 512K", "too-small", 4),
    ("type: fat, size: 64M", "type: fat, size: 3T", "partition-too-large", 4),
    ("type: ext4, size: 60M", "type: ext4, start: 2T, size: 60M", "image-too-large", 4),
    ("offset: 8K", "offset: -8K", "bad-size", 7),
    ("offset: 8K", "offset: 500M", "loader-outside", 7),
    ("offset: 8K", "offset: 8K, room: 1T", "loader-outside", 7),
    ("offset: 8K", "offset: 9223372036854775808", "bad-size", 7),
    ("- {package: boot/loader", "- {package: a/b, file: c, offset: 4K, room: 8K}\n- {package: boot/loader",
     "loaders-overlap", 8),
    ("boot-loader:", "".join(f"- {{name: p{n}, type: raw, size: 1M}}\n" for n in range(3)) + "boot-loader:",
     "too-many", 8),
    (*under("", "table: {type: gpt, length: 1000000000}"), "bad-table", 2),
    (*under("", "table: {type: gpt, length: 0}"), "bad-value", 2),
    (*under("", "table: {type: gpt, length: 57}"), "inside-table", 8),
    (*under("", "size: 900T"), "image-too-large", 2),
    (*under("", "hostname: -x"), "bad-value", 2),
    (*under("", "hostname: \"host\\n\""), "bad-value", 2),
    (*under("", "outputs: [img, img]"), "same-name", 2),
    (*under("", "outputs: []"), "bad-value", 2),
    ("platform: linux/arm64", "platform: linux/mips", "bad-value", 2),
    ("label: BOOT", 'label: "A\\nB"', "bad-label", 4),
    ("size: 60M, mount: /", 'size: 60M, mount: /, label: "a\\tb"', "bad-label", 5),
    ("size: 60M, mount: /", "size: 60M, mount: /, label: seventeen-letters", "bad-label", 5),
    ("mount: /boot/firmware", "mount: //", "bad-mount", 4),
    ("mount: /boot/firmware", "mount: /boot/", "bad-mount", 4),
    ("mount: /boot/firmware", "mount: /a b", "bad-mount", 4),
    ("mount: /boot/firmware", 'mount: "/a\\n/dev/sda / ext4"', "bad-mount", 4),
    ("file: usr/lib/loader.bin", "file: ../../../etc/shadow", "bad-path", 7),
    ("device-tree: vendor/board.dtb", 'device-tree: "a.dtb\\n  append init=/bin/sh"', "bad-path", 10),
    ("device-tree: vendor/board.dtb", "device-tree: a b.dtb", "bad-path", 10),
    (*under("kernel", "image: ../../etc/shadow"), "bad-path", 10),
    ("  package: kernel/linux\ndevice-tree: vendor/board.dtb\ninitrd:\n  busybox: root/tiny\n  grow: tools/growroot\n"
     "boot:\n  extlinux: {}", "  package: kernel/linux\n  command-line: a'b\nboot:\n  boot-scr: []", "bad-line", 10),
    (*under("kernel", 'command-line: "quiet\\n  initrd /evil"'), "bad-line", 10),
    (*under("root", 'files: [{path: "/a\\nb", content: x}]'), "bad-path", 18),
    (*under("root", "files: [{path: /a/, content: x}]"), "bad-path", 18),
    (*under("root", "files: [{path: /" + "a" * 256 + ", content: x}]"), "bad-path", 18),
    (*under("root", "files: [{path: /" + "a/" * 3000 + "b, content: x}]"), "bad-path", 18),
    (*under("root", "files: [{path: /a, content: x, mode: 99999}]"), "bad-mode", 18),
    (*under("root", "files: [{path: /a, content: x}, {path: /./a, content: y}]"), "same-path", 18),
    (*under("root", "files: [{path: /a, source: /dev/zero}]"), "missing-file", 18),
    ("password: secret", "uid: -1", "bad-value", 19),
    ("password: secret", 'shell: "/bin/sh\\nroot2::0:0::/:/bin/sh"', "bad-user", 19),
    ("password: secret", "shell: /bin/sh:x", "bad-user", 19),
    ("password: secret", 'groups: [wheel, "a,b"]', "bad-user", 19),
    ("password: secret", 'ssh-keys: ["ssh-ed25519 A\\nssh-rsa B"]', "bad-user", 19),
    ("password: secret", 'password-hash: "$6$x:0:0"', "bad-user", 19),
    ("{name: root, password", '{name: "root\\n", password', "bad-value", 19),
    ("  extlinux: {}", "  extlinux: {timeout: 99999999999999999999}", "bad-value", 15),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "line"), HOSTILE)
def test_what_a_hostile_file_asks_for(tmp_path: Path, old: str, new: str, code: str, line: int) -> None:
    assert old in GOOD
    assert (code, line) in problems(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True)
        ) + GOOD, "yaml-too-large"),
        ("a: &a [*a]\n" + GOOD, "yaml-recursion"),
        ("description: " + "[" * 100_000, "yaml-too-deep"),
        ('!!python/object/apply:os.system ["true"]\n', "wrong-type"),
        (GOOD + "platform: linux/arm/v7\n", "duplicate-key"),
        (GOOD + "---\n" + GOOD, "several-documents"),
        (GOOD.replace("A board", "A\0board"), "bad-yaml"),
        (GOOD + "{{ range $i := until 100000000 }}x{{ end }}\n", "template-execution"),
        (GOOD.replace("A board", '{{ repeat 1000000000 "x" }}'), "template-execution"),
        ('{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}\n' + GOOD, "template-execution"),
        ("", "missing-key"),
    ],
    ids=range(11),
)  # fmt: skip
def test_bombs(tmp_path: Path, text: str, code: str) -> None:
    assert code in {found for found, _ in problems(tmp_path, text)}


@pytest.mark.parametrize("name", ["a b", "a;reboot", "$(reboot)", "-x", "a.b", "ü", "a\nb", "x" * 65, ""])
def test_a_boards_name_is_a_word(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.yaml").write_text(GOOD)
    with pytest.raises(FarmError) as failure:
        read_board(tmp_path / f"{name}.yaml", {})
    assert failure.value.code == "bad-name"


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "gone"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "board.yaml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(FarmError) as failure:
        read_board(path, {})
    assert failure.value.code == "unreadable-file"


def test_whole_numbers_may_be_written_as_others(tmp_path: Path) -> None:
    (tmp_path / "board.yaml").write_text(GOOD.replace("password: secret", "uid: 1e3"))
    assert repr(read_board(tmp_path / "board.yaml", {}).users[0].uid) == "1000"


def test_the_order_of_partitions_is_free(tmp_path: Path) -> None:
    """The image ends where the last on the card does, whichever is the last in the file."""
    text = GOOD.replace("size: 64M", "start: 100M, size: 64M").replace("[grow-root]", "[]")
    (tmp_path / "board.yaml").write_text(text.replace("size: 60M", "start: 4M, size: 60M"))
    assert read_board(tmp_path / "board.yaml", {}).size == 164 << 20


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("type: ext4, size: 60M", "type: ext4, size: -5M", "bad-size"),
        ("type: ext4, size: 60M", "type: ext4, start: -3, size: 60M", "bad-size"),
        ("type: ext4, size: 60M", "type: ext4, size: fill", "no-size"),
        ("platform: linux/arm64", "platform: linux/arm64\nsize: many", "bad-size"),
        ("size: 60M, mount", "start: 30M, size: 60M, mount", "partitions-overlap"),
        ("platform: linux/arm64", "platform: linux/arm64\ntable: {type: gpt, length: 99999999}", "bad-table"),
    ],
)
def test_one_mistake_is_one_problem(tmp_path: Path, old: str, new: str, code: str) -> None:
    """What follows from a mistake alone is not told."""
    text = GOOD.replace(old, new, 1)
    if code == "bad-table":
        text = text.replace("offset: 8K", "offset: 40K")
    assert [found for found, _ in problems(tmp_path, text)] == [code]


def test_without_a_ram_disk_the_kernel_finds_the_root(tmp_path: Path) -> None:
    """It knows no UUIDs of file systems, only those of partitions."""
    text = re.sub(r"initrd:\n(  .*\n)+", "", GOOD).replace("[grow-root]", "[]")
    (tmp_path / "board.yaml").write_text(text)
    board = read_board(tmp_path / "board.yaml", {})
    assert command_line(board) == f"root=PARTUUID={board.disk_id[:8]}-02"
    (tmp_path / "board.yaml").write_text(text.replace("platform:", "table: {type: gpt, length: 56}\nplatform:"))
    board = read_board(tmp_path / "board.yaml", {})
    assert command_line(board) == f"root=PARTUUID={board.root.uuid}"
    (tmp_path / "board.yaml").write_text(GOOD)
    board = read_board(tmp_path / "board.yaml", {})
    assert command_line(board) == f"root=UUID={board.root.uuid}"


def test_room_ends_at_the_tables_copy(tmp_path: Path) -> None:
    table = "platform: linux/arm64\ntable: {type: gpt, length: 56}\nsize: 200M"
    (tmp_path / "board.yaml").write_text(GOOD.replace("platform: linux/arm64", table).replace("8K", "204790K"))
    assert read_board(tmp_path / "board.yaml", {}).loaders[0].room == 2560


def test_all_problems_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("size: 60M", "start: 30M, size: 60M").replace("offset: 8K", "offset: 5M")
    found = problems(tmp_path, text.replace("label: BOOT", "label: much-too-long-for-fat"))
    assert {code for code, _ in found} == {"partitions-overlap", "loader-over-partition", "bad-label"}


def test_what_lies_where_is_told_beside_what_the_schema_finds(tmp_path: Path) -> None:
    text = GOOD.replace("size: 60M", "start: 30M, size: 60M").replace("offset: 8K", "offset: 5M")
    text = text.replace("first-boot: [grow-root]", "first-boot: [grow-rot]\nhostname: -x\ncolour: red")
    assert problems(tmp_path, text) == [
        ("partitions-overlap", 5), ("loader-over-partition", 7), ("bad-value", 20), ("bad-value", 21),
        ("unknown-key", 22)
    ]  # fmt: skip
    assert problems(tmp_path, text.replace("type: ext4", "type: ext5"))[0] == ("bad-value", 5)
    assert problems(tmp_path, "- a\n") == [("wrong-type", 1)]


def test_a_template_with_values(tmp_path: Path) -> None:
    file = tmp_path / "board.yaml"
    file.write_text(GOOD.replace("size: 60M", 'size: {{ .Values.root | default "60M" }}'))
    assert read_board(file, {"root": "70M"}).root.size == 70 << 20
    assert read_board(file, {}).root.size == 60 << 20


def test_places_in_a_template(tmp_path: Path) -> None:
    text = GOOD.replace("size: 60M", "size: {{ .Values.none | default 0 }}")
    assert ("too-small", 5) in problems(tmp_path, text)


def test_the_boards_of_this_tree() -> None:
    boards = [read_board(file, {}) for file in board_files([IMAGES]).values()]
    assert {board.name for board in boards} >= {"rpi4", "bananapi-m2-ultra", "bananapi", "orangepi-pc", "pine64-plus"}
    assert all(board.test for board in boards)
    assert len({part.uuid for board in boards for part in board.partitions}) == sum(len(b.partitions) for b in boards)


def farm(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Calls ``farm image``."""
    env: dict[str, Any] = {**os.environ, "HOME": str(folder), "FARM_STORE": str(folder / "store")}
    return subprocess.run(
        [sys.executable, "-m", "farm", "image", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_writes_nothing_for_a_bad_board(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    text = GOOD.replace("offset: 8K", "offset: 5M").replace("size: 60M", "start: 30M, size: 60M")
    (tmp_path / "images/bad.yaml").write_text(text)
    ran = farm(tmp_path, "build", "bad", "--destination", str(tmp_path / "out"))
    assert ran.returncode == 1
    assert f"{tmp_path}/images/bad.yaml:7:" in ran.stderr and "[loader-over-partition]" in ran.stderr
    assert f"{tmp_path}/images/bad.yaml:5:" in ran.stderr and "[partitions-overlap]" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_packages_are_found_at_their_places(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "images/odd.yaml").write_text(GOOD.replace("platform:", "trees: [../tree]\nplatform:"))
    ran = farm(tmp_path, "build", "odd")
    assert ran.returncode == 1
    for line in (8, 10, 13, 14, 18):
        assert f"images/odd.yaml:{line}:" in ran.stderr, ran.stderr


def test_a_package_for_another_platform_is_found_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    text = (
        GOOD.replace("boot/loader", "root/tiny")
        .replace("kernel/linux", "root/tiny")
        .replace("  grow: tools/growroot\n", "")
    )
    text = text.replace("[grow-root]", "[]").replace("platform:", "tools: root/tiny\ntrees: [../tree]\nplatform:")
    (tmp_path / "images/odd.yaml").write_text(text.replace("  packages: [root/tiny]", "  packages: [root/other]"))
    for name, platform in (("tiny", "linux/amd64"), ("other", "linux/arm/v7")):
        folder = tmp_path / "tree/root" / name
        folder.mkdir(parents=True)
        definition = f"name: {name}\ncategory: root\nversion: '1'\n"
        (folder / "definition.yaml").write_text(definition)
        (folder / "build.yaml").write_text(f"platforms: [{platform}]\nsteps: ['true']\nimage: scratch\n")
    ran = farm(tmp_path, "build", "odd")
    assert ran.returncode == 1 and ran.stderr.count("[wrong-platform]") == 2, ran.stderr
    assert "images/odd.yaml:2:" in ran.stderr and "images/odd.yaml:18:" in ran.stderr, ran.stderr


def test_an_unknown_board_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/orangepi.yaml").write_text(GOOD)
    ran = farm(tmp_path, "show", "orangpi")
    assert ran.returncode == 1 and "did you mean orangepi?" in ran.stderr


def test_boards_of_one_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "card.yaml").write_text(GOOD)
    assert len(read_boards([tmp_path / "a/card.yaml"] * 2, {})) == 1
    with pytest.raises(FarmError) as failure:
        read_boards([tmp_path / "a/card.yaml", tmp_path / "b/card.yaml"], {})
    assert failure.value.code == "same-name"


def test_all_of_nothing(tmp_path: Path) -> None:
    ran = farm(tmp_path, "build", "--all")
    assert ran.returncode == 2 and "there are no board files in images" in ran.stderr


def test_one_bad_board_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/bad.yaml").write_text("platform: none\n")
    (tmp_path / "images/good.yaml").write_text(GOOD)
    ran = farm(tmp_path, "list")
    assert ran.returncode == 1 and "A board for tests" in ran.stdout and "images/bad.yaml:1:" in ran.stderr


def test_list_and_show(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/good.yaml").write_text(GOOD)
    assert "A board for tests" in farm(tmp_path, "list").stdout
    shown = json.loads(farm(tmp_path, "show", "good", "--json").stdout)
    assert shown["partitions"][1]["start"] == 68 << 20
    assert "boot/loader" in farm(tmp_path, "show", "good").stdout


def test_the_new_board_of_the_documentation(tmp_path: Path) -> None:
    text = (IMAGES.parent / "docs/images.md").read_text().partition("## A new board")[2]
    (tmp_path / "my-virt.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    board = read_board(tmp_path / "my-virt.yaml", {})
    assert board.gpt and board.root.size == 135 << 20


def test_a_board_is_frozen(tmp_path: Path) -> None:
    (tmp_path / "board.yaml").write_text(GOOD)
    board = read_board(tmp_path / "board.yaml", {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        board.name = "other"  # type: ignore[misc]
