# SPDX-License-Identifier: GPL-3.0-or-later
"""From boards to nodes: an image is a job like any other, on top of the packages it is made of.

The job's root is that of the board's tools. It gets the root's tarball, the packages' tarballs, the programs of
farm/image/inside, and the board as JSON; so its key holds all that the image depends on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.image.layout import fixed_uuid
from farm.image.model import Board
from farm.plan.job import EPOCH, WORKDIR, FileInput, Input, Job, Limits, Made, Pack, Seed, Unpack
from farm.plan.node import Node, Plan
from farm.spec.model import PackageId, Tree
from farm.spec.platform import short
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.solver import Index, solve
from farm.spec.targets import find_targets

INSIDE = Path(__file__).parent / "inside"
FOLDER = "/image"
"""Where in the job's root the image is written."""

PlanOf = Callable[[Sequence[PackageId], str], Plan]
"""Plans packages for a platform; empty: for the host's own."""

_COMPRESS = {
    "zst": "zstd -q -f -10 -T2 {name}.img -o {name}.img.zst",
    "xz": "xz -6 -k -c -T2 --block-size=16MiB {name}.img >{name}.img.xz",
}
"""With more than one worker the bytes do not depend on how many there are."""


def image_node(board: str) -> str:
    """The id of the node that writes a board's image."""
    return f"image/{board}"


def output_node(board: str, output: str) -> str:
    """The id of the node whose layer has ``NAME.img``, ``NAME.img.zst`` or ``NAME.img.xz``."""
    return image_node(board) if output == "img" else f"{image_node(board)}:{output}"


def plan_boards(boards: Sequence[Board], tree: Tree, plan_of: PlanOf) -> Plan:
    """The plan that makes the images of boards. FarmError with all packages that are unknown, at their places."""
    planner = _Planner(boards, tree, plan_of)
    for board in boards:
        planner.add(board)
    targets = [output_node(board.name, output) for board in boards for output in board.outputs]
    for board in boards:
        if board.test and board.test.package:
            targets.append(planner.packages[board.test.package, ""])
        targets += [planner.packages[word, board.platform] for word in (board.test.install if board.test else ())]
    return Plan(planner.nodes, tuple(dict.fromkeys(targets)), planner.problems)


def joined(plans: Iterable[Plan]) -> Plan:
    """Several plans as one. Nodes of the same id are the same in plans of one tree and one set of options."""
    nodes: dict[str, Node] = {}
    targets: dict[str, None] = {}
    problems: dict[Problem, None] = {}
    unplanned: dict[str, None] = {}
    for plan in plans:
        for name, node in plan.nodes.items():
            nodes.setdefault(name, node)
        targets.update(dict.fromkeys(plan.targets))
        problems.update(dict.fromkeys(plan.problems))
        unplanned.update(dict.fromkeys(plan.unplanned))
    return Plan(nodes, tuple(targets), tuple(problems), tuple(unplanned))


class _Planner:
    """The nodes of several boards in one graph."""

    def __init__(self, boards: Sequence[Board], tree: Tree, plan_of: PlanOf) -> None:
        self.tree = tree
        self.index = Index(list(tree.packages.values()))
        self.packages: dict[tuple[str, str], str] = {}
        """Node of the package that a word of a board file means, by word and platform."""
        self.roots: dict[str, tuple[str, ...]] = {}
        """Nodes of all packages of a board's root, lowest first."""
        wanted: dict[str, dict[PackageId, None]] = {}
        named: dict[tuple[str, str], PackageId] = {}
        places: dict[str, Place] = {}
        closures: dict[str, tuple[PackageId, ...]] = {}
        problems: list[Problem] = []
        for board in boards:
            for word, platform, at in _words(board):
                try:
                    package = find_targets(tree, [word])[0]
                except FarmError as failure:
                    problems += [dataclasses.replace(p, place=board.place(at)) for p in failure.problems]
                    continue
                named[word, platform] = package
                places.setdefault(str(package), board.place(at))
                wanted.setdefault(platform, {})[package] = None
            closures[board.name] = self._closure(board, problems)
            for package in closures[board.name]:
                places.setdefault(str(package), board.place(("root", "packages")))
            wanted.setdefault(board.platform, {}).update(dict.fromkeys(closures[board.name]))
        if problems:
            raise FarmError(problems)
        plans = {platform: plan_of(list(packages), platform) for platform, packages in wanted.items()}
        if broken := [problem for plan in plans.values() for problem in plan.problems if problem.severity == "error"]:
            raise FarmError([_of_board(problem, places) for problem in broken])
        whole = joined(plans.values())
        self.nodes: dict[str, Node] = dict(whole.nodes)
        self.problems = whole.problems
        packs = {
            (self.nodes[target].package, platform): target
            for platform, plan in plans.items()
            for target in plan.targets
        }
        self.packages = {(word, platform): packs[str(package), platform] for (word, platform), package in named.items()}
        for board in boards:
            self.roots[board.name] = tuple(packs[str(package), board.platform] for package in closures[board.name])

    def _closure(self, board: Board, problems: list[Problem]) -> tuple[PackageId, ...]:
        """The root's packages and what they require at run time, dependencies first."""
        if not board.root_packages:
            return ()
        try:
            roots = find_targets(self.tree, board.root_packages)
            found = solve(self.index, roots, asker=f"the root of {board.name}").packages
            return tuple(package.id for package in found if not package.virtual)
        except FarmError as failure:
            place = board.place(("root", "packages"))
            problems += [dataclasses.replace(p, place=p.place or place) for p in failure.problems]
            return ()

    def add(self, board: Board) -> None:
        """Adds the nodes of one board."""
        root = self._root(board)
        tools = self._tools(board)
        job = tools.action
        assert isinstance(job, Job)
        layers = (*job.layers, Made(tools.id, "layer"))
        limits = Limits(memory=1 << 30, timeout=3600.0)
        text = json.dumps(self._document(board), sort_keys=True, indent=1)
        steps = (
            f"cat >board.json <<'END-OF-BOARD'\n{text}\nEND-OF-BOARD",
            "exec python3 -B -m farm.image.inside.write board.json",
        )
        write = Job(layers, self._inputs(board, root), (), steps, platform=job.platform, limits=limits)
        env = (*tools.env, f"PYTHONPATH={WORKDIR}/code")
        name = image_node(board.name)
        self._put(dataclasses.replace(tools, id=name, action=write, package=None, env=env))
        for output in board.outputs:
            if output == "img":
                continue
            step = f"cd {FOLDER} && {_COMPRESS[output].format(name=board.name)}"
            packed = Job(
                (*layers, Made(name, "layer")), (), (), (step,), platform=job.platform,
                limits=dataclasses.replace(limits, cores=2),
            )  # fmt: skip
            self._put(dataclasses.replace(tools, id=output_node(board.name, output), action=packed, package=None))

    def _put(self, node: Node) -> str:
        self.nodes[node.id] = node
        return node.id

    def _root(self, board: Board) -> str:
        """The node that packs the root: tarball, packages over it."""
        layers: list[Made] = []
        if board.tarball:
            url, sha256 = board.tarball
            seed = Seed("archive", url=url, sha256=sha256, platform=board.platform)
            layers.append(Made(self._put(Node(f"seed:{posixpath.basename(url)}:{sha256[:12]}", seed)), "layer"))
        for pack in self.roots[board.name]:
            action = self.nodes[pack].action
            if isinstance(action, Pack) and action.rule == "empty":
                continue
            name = f"{pack.removesuffix(':package')}:unpacked"
            self.nodes.setdefault(name, Node(name, Unpack(Made(pack, "package")), self.nodes[pack].package))
            layers.append(Made(name, "layer"))
        return self._put(Node(f"{image_node(board.name)}:root", Pack(tuple(layers), "root")))

    def _tools(self, board: Board) -> Node:
        """The job of the tools' package: the image is written in the root that it leaves."""
        pack = self.nodes[self.packages[board.tools, ""]].action
        assert isinstance(pack, Pack)
        node = self.nodes[pack.layers[-1].node] if pack.layers and isinstance(pack.layers[-1], Made) else None
        if node is None or not isinstance(node.action, Job):
            place = board.place(("tools",))
            hint = "it has to have steps, and no requires_final_images"
            raise FarmError(Problem("bad-tools", f"{board.tools} leaves no root to work in", place, hint))
        return node

    def _inputs(self, board: Board, root: str) -> tuple[Input, ...]:
        inputs: list[Input] = [FileInput(f"{WORKDIR}/root.tar.zst", Made(root, "package"))]
        for word, name in _file_names(board).items():
            pack = self.packages[word, _platform_of(board, word)]
            inputs.append(FileInput(f"{WORKDIR}/{name}", Made(pack, "package")))
        for index, file in enumerate(board.files):
            if file.source:
                inputs.append(_host_file(f"{WORKDIR}/file-{index}", file.source))
        code = f"{WORKDIR}/code/farm/image/inside"
        inputs += [_host_file(f"{code}/{path.name}", path) for path in sorted(INSIDE.iterdir()) if path.is_file()]
        return tuple(inputs)

    def _document(self, board: Board) -> dict[str, Any]:
        """The board as the job reads it."""
        fat = board.boot_partition.type == "fat"
        data = board.to_json()
        for key in ("file", "trees", "tools", "root_packages", "tarball", "outputs", "test", "description", "console"):
            del data[key]
        for part in data["partitions"]:
            part["uuid"] = fixed_uuid(board.name, part["name"])
        data["files"] = [{**file, "source": bool(file["source"])} for file in data["files"]]
        data["boot"] = {**data["boot"], "fat": fat, "prefix": "/boot"}
        return {
            **data,
            "epoch": EPOCH,
            "packages": _file_names(board),
            "kernel_name": kernel_name(board),
            "command_line": command_line(board),
        }


def kernel_name(board: Board) -> str:
    """What the kernel is called in the image: the Raspberry Pi's firmware looks for a name."""
    config = board.boot.config_txt is not None and board.platform == "linux/arm64"
    return "kernel8.img" if config else "vmlinuz"


def command_line(board: Board) -> str:
    """The kernel's command line. Without an initial RAM disk the root is named by its partition: the kernel itself does
    not know UUIDs of file systems (Linux, Documentation/admin-guide/kernel-parameters.txt, root=)."""
    part = board.root
    words = [f"root=UUID={part.uuid}"]
    if not board.busybox:
        unique = part.uuid if board.gpt else f"{board.disk_id[:8]}-{part.number:02x}"
        words = [f"root=PARTUUID={unique}"]
    words += [f"console={board.console}"] if board.console else []
    return " ".join([*words, *board.command_line.split()])


def _words(board: Board) -> Iterable[tuple[str, str, tuple[str | int, ...]]]:
    """Every package that a board file names (but those of the root): word, platform, place."""
    yield board.tools, "", ("tools",)
    yield board.kernel, "", ("kernel", "package")
    if board.busybox:
        yield board.busybox, board.platform, ("initrd", "busybox")
    if board.grow:
        yield board.grow, board.platform, ("initrd", "grow")
    for index, loader in enumerate(board.loaders):
        yield loader.package, "", ("boot-loader", index, "package")
    for index, firmware in enumerate(board.firmware):
        yield firmware.package, "", ("firmware", index, "package")
    if board.test and board.test.package:
        yield board.test.package, "", ("test", "package")
    for index, word in enumerate(board.test.install if board.test else ()):
        yield word, board.platform, ("test", "install", index)


def _of_board(problem: Problem, places: Mapping[str, Place]) -> Problem:
    """A package for another platform is the board's mistake, not the package's."""
    place = places.get(problem.package or "")
    return dataclasses.replace(problem, place=place) if place and problem.code == "wrong-platform" else problem


def _platform_of(board: Board, word: str) -> str:
    """Programs are made for the board; boot loaders, kernels and firmware are data, repacked or crossed here."""
    return board.platform if word in (board.busybox, board.grow) else ""


def _file_names(board: Board) -> Mapping[str, str]:
    return {word: word.replace("/", "_") + ".tar.zst" for word in board.packages}


def _host_file(dest: str, path: Path) -> FileInput:
    return FileInput(dest, hashlib.sha256(path.read_bytes()).hexdigest(), origin=str(path))


def loader_node(plan: Plan, board: Board) -> str | None:
    """The node of the package with the boot loader for QEMU's virt, if the board has one."""
    if board.test is None or not board.test.package:
        return None
    name = board.test.package.partition("@")[0]
    return next(target for target in plan.targets if (package := plan.nodes[target].package) and _atom(package) == name)


def install_nodes(plan: Plan, board: Board) -> tuple[str, ...]:
    """The nodes of the packages that the board's guest installs, in the order of its file."""
    found = []
    for word in board.test.install if board.test else ():
        name, ends = word.partition("@")[0], f"@{short(board.platform)}"
        nodes = [target for target in plan.targets if _atom(plan.nodes[target].package or "") == name]
        found.append(next((node for node in nodes if node.removesuffix(":package").endswith(ends)), nodes[0]))
    return tuple(found)


def only(plan: Plan, boards: Sequence[Board], *, with_images: bool, with_packages: bool = False) -> Plan:
    """Of a plan, what is needed to boot boards: raw images (unless there are others), boot loaders for QEMU, and
    the packages that guests install."""
    wanted = [image_node(board.name) for board in boards if with_images]
    wanted += [node for board in boards if (node := loader_node(plan, board))]
    wanted += [node for board in boards if with_packages for node in install_nodes(plan, board)]
    needed: set[str] = set()
    pending = list(wanted)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += plan.nodes[name].needs
    nodes = {name: node for name, node in plan.nodes.items() if name in needed}
    return Plan(nodes, tuple(dict.fromkeys(wanted)), plan.problems)


def _atom(package: str) -> str:
    """``category/name`` of ``category/name-version``."""
    return package.rpartition("-")[0]
