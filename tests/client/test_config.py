# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration comes to: flags, environment, files, defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from farm.client.config import ClientConfig, read_config
from farm.client.masks import Masks
from farm.spec.model import PackageId
from farm.spec.problem import FarmError


def read(tmp_path: Path, document: dict[str, Any], **more: Any) -> ClientConfig:
    file = tmp_path / more.pop("name", "luet.yaml")
    file.write_text(yaml.safe_dump(document))
    return read_config(file, more.pop("flags", None), more.pop("environ", {}))


def put(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))


def test_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, {})
    assert (config.rootfs, config.database_path) == (Path("/"), Path("/var/cache/luet"))
    assert config.packages_cache == Path("/var/cache/luet/packages")
    assert config.lock_file == Path("/var/lock/luet.lock")
    assert config.repository_dirs == (Path("/etc/luet/repos.conf.d"),)
    assert config.config_from_host and config.lock and not config.assume_yes
    assert config.timeout == 3600


def test_anise_has_folders_of_its_own(tmp_path: Path) -> None:
    config = read(tmp_path, {}, name="anise.yaml")
    assert (config.family, config.database_path) == ("anise", Path("/var/cache/anise"))


def test_state_is_inside_the_root(tmp_path: Path) -> None:
    config = read(tmp_path, {"system": {"rootfs": str(tmp_path / "root"), "database_path": "/var/db"}})
    assert config.database_path == tmp_path / "root/var/db"
    assert config.database_file.parent == config.database_path
    config = read(tmp_path, {"system": {"rootfs": str(tmp_path / "root"), "pkgs_cache_path": "/somewhere"}})
    assert config.packages_cache == Path("/somewhere"), "an absolute cache is of the host, as in the Go client"


def test_flags_go_before_the_environment_and_that_before_files(tmp_path: Path) -> None:
    document = {"system": {"rootfs": "/file"}, "general": {"concurrency": 3}}
    environ = {"LUET_SYSTEM__ROOTFS": "/environment", "LUET_GENERAL__CONCURRENCY": "5"}
    assert read(tmp_path, document).rootfs == Path("/file")
    assert read(tmp_path, document, environ=environ).rootfs == Path("/environment")
    config = read(tmp_path, document, environ=environ, flags={"system_target": "/flag", "concurrency": None})
    assert (config.rootfs, config.concurrency) == (Path("/flag"), 5)


def test_switches_of_the_environment(tmp_path: Path) -> None:
    config = read(tmp_path, {}, environ={"LUET_NOLOCK": "true", "ANISE_YES": "1", "INSECURE": "1", "HTTP_TIMEOUT": "7"})
    assert (config.lock, config.assume_yes, config.insecure, config.timeout) == (False, True, True, 7)


def test_memory_engine(tmp_path: Path) -> None:
    assert read(tmp_path, {}, flags={"system_engine": "memory"}).database_file == Path(":memory:")


def test_repositories(tmp_path: Path) -> None:
    folder = tmp_path / "repos"
    put(folder / "b.yaml", {"name": "b", "type": "dir", "urls": ["/b"], "enable": True, "priority": 5})
    put(folder / "a.yml", {"name": "a", "type": "http", "urls": ["http://h/"], "auth": {"token": "t"}, "cached": False})
    put(folder / "not.txt", "name: not")
    inline = {"name": "inline", "type": "docker", "urls": ["h/n"], "enable": True}
    config = read(tmp_path, {"repos_confdir": [str(folder)], "repositories": [inline]})
    assert [(one.name, one.type) for one in config.repositories] == [("inline", "docker"), ("a", "http"), ("b", "disk")]
    assert [one.name for one in config.enabled_repositories] == ["b", "inline"]
    assert config.repository("a").auth == {"token": "t"} and not config.repository("a").cached
    with pytest.raises(FarmError) as caught:
        config.repository("inlin")
    assert caught.value.code == "unknown-repository" and "inline" in caught.value.problems[0].hint


def test_folders_may_be_the_roots(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root / "etc/repos/a.yml", {"name": "a", "type": "disk", "urls": ["/srv/wagon"], "enable": True})
    document = {"config_from_host": False, "system": {"rootfs": str(root)}, "repos_confdir": ["/etc/repos"]}
    assert read(tmp_path, document).repository("a").urls == (str(root / "srv/wagon"),)


def test_subsets(tmp_path: Path) -> None:
    put(tmp_path / "conf/main.yml", {"enabled": ["devel", "doc"]})
    put(tmp_path / "def/gcc.yaml", {"subsets_def": {"gcc": {"descr": "g", "name": "gcc", "rules": ["^/g"],
                                                           "packages": ["sys-devel/gcc"]}}})  # fmt: skip
    put(tmp_path / "def/manual.yaml", "subsets_def:\nk:\n  description: as in the manual\n  categories: [app]\n")
    document = {
        "subsets": {"enabled": ["portage", "doc"]},
        "subsets_confdir": [str(tmp_path / "conf")],
        "subsets_defdir": [str(tmp_path / "def")],
    }
    config = read(tmp_path, document)
    assert config.subsets_enabled == ("portage", "doc", "devel")
    gcc, manual = config.subsets_definitions
    assert (gcc.name, gcc.rules, gcc.packages) == ("gcc", ("^/g",), ("sys-devel/gcc",))
    assert (manual.name, manual.categories) == ("k", ("app",))


def test_protected_folders_masks_and_finalizers(tmp_path: Path) -> None:
    put(tmp_path / "protect/etc.yml", {"name": "etc", "dirs": ["/etc", "opt/conf"]})
    put(tmp_path / "mask/a.yml", {"enabled": True, "rules": [">=app/x-2", "app/y::side"]})
    put(tmp_path / "mask/b.yml", {"enabled": False, "rules": ["app/z"]})
    document = {
        "config_protect_confdir": [str(tmp_path / "protect")],
        "packages_maskdir": [str(tmp_path / "mask")],
        "finalizer_envs": [{"key": "A", "value": 1}],
    }
    config = read(tmp_path, document)
    assert config.config_protect == ("/etc", "/opt/conf")
    assert config.finalizer_envs == (("A", "1"),)
    masks = Masks(config.masks)
    tried = [("x", "1", "main"), ("x", "2.1", "main"), ("y", "1", "main"), ("y", "1", "side"), ("z", "1", "main")]
    masked = [bool(masks.rule(PackageId("app", name, version), repository)) for name, version, repository in tried]
    assert masked == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"system": "text"}, None),
        ({"general": {"concurrency": "many"}}, "bad-config"),
        ({"config_from_host": "perhaps"}, "bad-config"),
        ({"repos_confdir": 5}, "bad-config"),
        ({"repositories": [{"name": "a/../b", "type": "http"}]}, "bad-config"),
        ({"repositories": [{"name": "a", "type": "ftp"}]}, "bad-config"),
        ({"repositories": [{"name": "a", "type": "http", "priority": "high"}]}, "bad-config"),
        ({"finalizer_envs": ["A=1"]}, "bad-config"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, document: dict[str, Any], code: str | None) -> None:
    if code is None:
        assert read(tmp_path, document).rootfs == Path("/")
        return
    with pytest.raises(FarmError) as caught:
        read(tmp_path, document)
    assert caught.value.code == code


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    for text in ("[1, 2]", "a: b: c", "a: {"):
        (tmp_path / "luet.yaml").write_text(text)
        with pytest.raises(FarmError):
            read_config(tmp_path / "luet.yaml", None, {})
    with pytest.raises(FarmError) as caught:
        read_config(tmp_path / "none.yaml", None, {})
    assert caught.value.code == "unreadable-config"


def test_a_bad_mask_is_told(tmp_path: Path) -> None:
    put(tmp_path / "mask/a.yml", {"rules": ["app/x", "><"]})
    config = read(tmp_path, {"packages_maskdir": [str(tmp_path / "mask")]})
    with pytest.raises(FarmError) as caught:
        Masks(config.masks)
    assert [problem.code for problem in caught.value.problems] == ["bad-mask"]


def test_the_file_that_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "home/.luet.yaml", {"system": {"rootfs": "/home-file"}})
    environ = {"HOME": str(tmp_path / "home")}
    assert read_config(None, None, environ).rootfs == Path("/home-file")
    put(tmp_path / ".luet.yaml", {"system": {"rootfs": "/here"}})
    assert read_config(None, None, environ).rootfs == Path("/here")
    assert read_config(None, None, {**environ, "LUET_CONFIG": str(tmp_path / "home/.luet.yaml")}).rootfs == Path(
        "/home-file"
    )
