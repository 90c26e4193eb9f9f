# SPDX-License-Identifier: GPL-3.0-or-later
"""Metro files: what is read of them, and every way in which they are wrong, with its place."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml

from farm.spec.problem import FarmError, Problem
from farm.stage.metro.diagnose import as_json, as_yaml
from farm.stage.metro.model import HttpSource, Job, TarRules
from farm.stage.metro.render import compression_of, render_job
from farm.stage.metro.specfile import read_specfile
from farm.stage.metro.tarformers import Rewriting
from farm.store.entry import FILE, FOLDER, HARDLINK, Entry

NOON = datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.UTC)

GOOD = """
common: &common
  output: {type: file, name: "out-{{ .Values.a }}.tar.xz", dir: "out/{{ now | date `2006` }}"}
  environments: [{key: A, value: 1}]
jobs:
- name: one
  <<: *common
  source: {type: http, uri: "http://host/{{ .Values.a }}.tar", target: cache/x.tar, sha256: SHA}
  options: {a: b}
""".replace("SHA", "0" * 64)


def _read(tmp_path: Path, text: str, hooks: str | None = None, name: str = "one") -> tuple[Job, tuple[Problem, ...]]:
    (tmp_path / "spec.yaml").write_text(text)
    if hooks is not None:
        (tmp_path / "h.yml").write_text(hooks)
    return render_job(read_specfile(tmp_path / "spec.yaml"), name, NOON, folder=tmp_path)


def _wrong(tmp_path: Path, text: str, hooks: str | None = None) -> list[str]:
    with pytest.raises(FarmError) as caught:
        _read(tmp_path, text, hooks)
    return [f"{Path(p.place.file).name}:{p.place.line} {p.code}" if p.place else p.code for p in caught.value.problems]


def test_what_is_merged_is_read_and_paths_are_the_specfiles(tmp_path: Path) -> None:
    job, warnings = _read(tmp_path, GOOD)
    assert not warnings
    assert job.output.file == tmp_path / "out/2026/out-b.tar.xz"
    assert job.environment == (("a", "b"), ("A", "1"))
    assert isinstance(job.source, HttpSource)
    assert (job.source.uri, job.source.target) == ("http://host/b.tar", tmp_path / "cache/x.tar")
    assert job.rootfs == tmp_path / "rootfs"
    assert job.output.place.line == 3, "where the anchor is"


def test_only_true_and_false_are_booleans_in_options(tmp_path: Path) -> None:
    """As in mark-devkit, whose YAML is 1.2 where nothing else is asked for."""
    text = GOOD.replace("options: {a: b}", "options: {a: yes, n: [off, true]}\n  hooks_files: [h.yml]")
    job, _ = _read(tmp_path, text, "hooks:\n- name: one\n  commands: ['{{ .Values.a }} {{ .Values.n }}']\n")
    assert as_json(job)["hooks"][0]["hooks"][0]["commands"] == ["yes [off true]"]


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("type: file", "type: docker", "spec.yaml:3 bad-output-type"),
        ("type: http", "type: ftp", "spec.yaml:8 bad-source-type"),
        ("type: http, ", "", "spec.yaml:8 bad-source-type"),
        ("http://host", "ftp://host", "spec.yaml:8 bad-url"),
        ("target: cache/x.tar", "target: ''", "spec.yaml:8 missing-key"),
        ("out-{{ .Values.a }}.tar.xz", "{{ .Values.none }}", "spec.yaml:3 empty-value"),
        ("out-{{ .Values.a }}.tar.xz", "../{{ .Values.a }}", "spec.yaml:3 bad-output-name"),
        ("{{ .Values.a }}.tar.xz", "{{ .Values.a }.tar.xz", "spec.yaml:3 template-syntax"),
        ("now |", "nou |", "spec.yaml:3 template-unknown-function"),
        ("0" * 64, "0" * 63, "spec.yaml:8 bad-sha256"),
        ("options: {a: b}", "options: [a]", "spec.yaml:9 wrong-type"),
        ("options: {a: b}", "hooks_files: h.yml", "spec.yaml:9 wrong-type"),
        ("options: {a: b}", "hooks_files: [none.yml]", "spec.yaml:9 missing-hooks-file"),
        ("options: {a: b}", "chroot_binds: [{source: a}]", "spec.yaml:9 missing-key"),
        ("options: {a: b}", "options: *none", "spec.yaml:9 yaml-undefined-alias"),
        ("key: A", "key: 'A=B'", "spec.yaml:4 bad-environment"),
        ("sha256:", "key: RW, sha256:", "spec.yaml:8 half-signature"),
        ("sha256:", "tarformers_specs: {ignore_regexes: ['(']}, sha256:", "spec.yaml:8 bad-regex"),
        ("sha256:", "tarformers_specs: {remap_uids: {root: '1'}}, sha256:", "spec.yaml:8 bad-id"),
        ("sha256:", "tarformers_specs: {writer: {dirs: [/etc]}}, sha256:", "spec.yaml:8 writer-refused"),
        ("sha256:", "tarformers_specs: {rename: [{source: /a, dest: /../b}]}, sha256:", "spec.yaml:8 bad-path"),
        ("jobs:", "jobz:", "spec.yaml:2 missing-key"),
        ("- name: one", "- nam: one", "spec.yaml:6 missing-key"),
    ],
)
def test_what_is_wrong_has_a_code_and_a_place(tmp_path: Path, old: str, new: str, wrong: str) -> None:
    assert old in GOOD
    assert wrong in _wrong(tmp_path, GOOD.replace(old, new))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("type: file", "type: tape").replace("http://", "ftp://")
    text = text.replace("  options: {a: b}", "  options: {a: b}\n  hooks_files: [h.yml, none.yml]")
    hooks = "hooks:\n- {type: inner, commands: [a]}\n- commands: {a: b}\n"
    codes = ["bad-output-type", "bad-url", "bad-hook-type", "wrong-type", "missing-hooks-file"]
    assert sorted(problem.split()[1] for problem in _wrong(tmp_path, text, hooks)) == sorted(codes)


@pytest.mark.parametrize(
    ("hooks", "wrong"),
    [
        ("hooks:\n- {type: outer-postchroot, commands: [a]}", "h.yml:2 bad-hook-type"),
        ("hooks:\n- commands: a", "h.yml:2 wrong-type"),
        ("hooks:\n- commands: [a]\n  chroot_binds: [{source: a, target: b}]", "h.yml:3 bad-bind"),
        ("{{ if .Values.a }}\n\nhooks: [", "h.yml:1 template-syntax"),
        ("hooks: []\n{{ fail `no` }}", "h.yml:2 template-execution"),
        ("{{- if .Values.a }}\nhooks:\n\n- {commands: [a}\n{{- end }}", "h.yml:4 bad-yaml"),
    ],
)
def test_hooks_files_that_are_wrong(tmp_path: Path, hooks: str, wrong: str) -> None:
    assert _wrong(tmp_path, GOOD.replace("options: {a: b}", "options: {a: b}\n  hooks_files: [h.yml]"), hooks) == [
        wrong
    ]


def test_what_is_only_odd_is_a_warning(tmp_path: Path) -> None:
    text = GOOD.replace(f", sha256: {'0' * 64}", "").replace(
        "  options: {a: b}", "  optoins: 1\n  hooks_files: [h.yml]"
    )
    text += "- {name: one}\n"
    bound = "type: outer-pre-chroot, commands: [x], chroot_binds: [{source: a, target: /b}]"
    hooks = f"hooks:\n- {{name: a, comands: [x]}}\n- {{{bound}}}\n"
    _, warnings = _read(tmp_path, text, hooks)
    found = {problem.code for problem in warnings}
    assert found == {"unverified-source", "unknown-key", "no-commands", "binds-on-host", "duplicate-job"}
    assert any("'commands'" in problem.hint for problem in warnings)


def test_an_unknown_job_names_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(FarmError) as caught:
        _read(tmp_path, GOOD, name="on")
    assert caught.value.code == "unknown-job"
    assert "did you mean one?" in caught.value.problems[0].hint


def test_wrong_things_in_other_jobs_do_not_matter(tmp_path: Path) -> None:
    job, _ = _read(tmp_path, GOOD + "- {name: two, source: {type: tape}}\n")
    assert job.name == "one"


@pytest.mark.parametrize(
    ("name", "compression"),
    [
        ("a.tar", "none"),
        ("a.tgz", "gzip"),
        ("a.tar.bz2", "bzip2"),
        ("a.tar.xz", "xz"),
        ("a.tar.zst", "zstd"),
        ("a", "none"),
    ],
)
def test_compressions(name: str, compression: str) -> None:
    assert compression_of(name) == compression


def test_diagnose(tmp_path: Path) -> None:
    text = GOOD.replace("options: {a: b}", "options: {a: b, c: [1, 2]}\n  hooks_files: [h.yml]")
    hooks = "hooks:\n- name: '{{ .Values.a }}'\n  commands:\n  - |-\n    first {{ index .Values.c 1 }}\n    second\n"
    job, _ = _read(tmp_path, text, hooks)
    shown = as_json(job)
    assert shown["hooks"] == [{"hooks": [{"name": "b", "type": "inner-chroot", "commands": ["first 2\nsecond"]}]}]
    assert (
        shown["omitempty"]
        == shown["output"]
        == {"type": "file", "name": "out-b.tar.xz", "dir": str(tmp_path / "out/2026")}
    )
    document = yaml.safe_load(as_yaml(job))
    assert document["job"]["options"] == {"a": "b", "c": [1, 2]}
    assert document["hooks"] == shown["hooks"]
    assert "- |-\n" in as_yaml(job)


def _entries() -> list[Entry]:
    made = [Entry(b"etc", FOLDER), Entry(b"etc/passwd", FILE), Entry(b"usr", FOLDER), Entry(b"usr/a", FILE)]
    link = Entry(b"usr/b", HARDLINK, link=b"usr/a")
    link.uid = 5
    return [*made, link]


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        (TarRules(), "etc etc/passwd usr usr/a usr/b>usr/a"),
        (TarRules(match_prefix=("/usr/a",)), "usr usr/a"),
        (TarRules(match_prefix=("/us",)), "usr usr/a usr/b>usr/a"),
        (TarRules(ignore_files=("/usr/a",)), "etc etc/passwd usr"),
        (TarRules(ignore_regexes=("^/etc/.*d$",)), "etc usr usr/a usr/b>usr/a"),
        (TarRules(renames=(("/usr/a", "/usr/c"),)), "etc etc/passwd usr usr/c usr/b>usr/c"),
        (TarRules(prefixes=(("/usr", "/opt"),)), "etc etc/passwd opt opt/a opt/b>opt/a"),
    ],
)
def test_rules_of_tarformers(rules: TarRules, names: str) -> None:
    taken = Rewriting(rules).apply(_entries())
    assert " ".join(f"{e.path.decode()}>{e.link.decode()}".rstrip(">") for e in taken) == names


def test_owners_of_tarformers() -> None:
    assert [e.uid for e in Rewriting(TarRules(uids=((5, 7), (0, 3)))).apply(_entries())] == [3, 3, 3, 3, 7]
    assert {e.uid for e in Rewriting(TarRules(same_owner=False)).apply(_entries())} == {0}
