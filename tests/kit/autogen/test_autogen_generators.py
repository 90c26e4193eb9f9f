# SPDX-License-Identifier: GPL-3.0-or-later
"""Each generator against a stand-in of its service, through the command line."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import pytest
from autogen_project import Project
from autogen_services import GitHub, Request, pypi_project, sha, tarball


def one(generator: str, atom: dict[str, Any], name: str = "foo", **more: Any) -> dict[str, Any]:
    """A specification of one package."""
    defaults = {"category": "dev-util", "template": "templates/t.tmpl"}
    return {"one": {"generator": generator, "defaults": defaults, "packages": [{name: atom}], **more}}


def line_of(project: Project, name: str, file: str) -> list[str]:
    """The words of a Manifest line."""
    lines = project.ebuild(f"dev-util/{name}/Manifest").splitlines()
    return next(line.split() for line in lines if line.split()[1] == file)


def test_github_releases(project: Project, github: GitHub) -> None:
    about = {"description": 'A "great" `tool` $(date)', "homepage": "", "license": {"spdx_id": "MIT"}}
    releases = [{"tag_name": "v2.0-rc1", "prerelease": True}, {"tag_name": "v1.10.0"}, {"tag_name": "v1.9.0"}]
    github.repository("me/foo", ["v2.0-rc1", "v1.10.0", "v1.9.0"], releases, **about)
    project.spec(one("builtin-github", {"github": {"user": "me"}}))
    report = project.thin()
    assert (report["status"], report["packages"][0]["version"]) == (0, "1.10.0")
    short = sha("v1.10.0")[:7]
    assert report["packages"][0]["distfiles"] == [f"foo-1.10.0-{short}.tar.gz"]
    ebuild = project.ebuild("dev-util/foo/foo-1.10.0.ebuild")
    assert 'DESCRIPTION="A great tool (date)"' in ebuild
    assert 'HOMEPAGE="https://github.com/me/foo"' in ebuild and 'LICENSE="MIT"' in ebuild
    assert f"/tarball/v1.10.0 -> foo-1.10.0-{short}.tar.gz" in ebuild
    content = project.services.files["/api/repos/me/foo/tarball/v1.10.0"]
    hashes = ["BLAKE2B", hashlib.blake2b(content).hexdigest(), "SHA512", hashlib.sha512(content).hexdigest()]
    hashes = ["BLAKE2B", hashlib.blake2b(content).hexdigest(), "SHA512", hashlib.sha512(content).hexdigest()]
    expected = ["DIST", f"foo-1.10.0-{short}.tar.gz", str(len(content)), *hashes]
    assert line_of(project, "foo", f"foo-1.10.0-{short}.tar.gz") == expected
    assert (project.root / f"work/downloads/foo-1.10.0-{short}.tar.gz").read_bytes() == content
    assert project.services.strange == []


def test_github_asks_for_as_many_pages_as_wanted(project: Project, github: GitHub) -> None:
    tags = [f"old-{number}" for number in range(25)] + ["v3.0"]
    github.repository("me/foo", tags)
    query = {"user": "me", "query": "tags", "per_page": 10, "num_pages": 2}
    project.spec(one("builtin-github", {"github": query}))
    assert project.thin()["packages"][0]["problems"][0]["code"] == "no-version"
    assert [path.partition("?")[2] for path in project.services.paths("/api/repos/me/foo/tags")] == [
        "per_page=10&page=1",
        "per_page=10&page=2",
    ]
    query["num_pages"] = 9
    project.spec(one("builtin-github", {"github": query}))
    project.services.asked.clear()
    assert project.thin()["packages"][0]["version"] == "3.0"
    assert len(project.services.paths("/api/repos/me/foo/tags?")) == 3, "the third page is the last one"


def test_github_assets(project: Project, github: GitHub) -> None:
    assets = {"foo-linux-amd64.tar.gz": b"amd", "foo-linux-arm64.tar.gz": b"arm", "foo-darwin.tar.gz": b"mac"}
    github.repository("me/foo", ["v1"], [{"tag_name": "v1", "assets": assets}])
    wanted = [
        {"use": "amd64", "name": "{{ .Values.pn }}-{{ .Values.version }}-amd64.tar.gz", "matcher": "linux-amd64"},
        {"use": "arm64", "name": "foo-{{ .Values.version }}-arm64.tar.gz", "matcher": "^foo-linux-arm64"},
    ]
    project.spec(one("builtin-github", {"github": {"user": "me"}, "assets": wanted}))
    assert project.thin()["packages"][0]["distfiles"] == ["foo-1-amd64.tar.gz", "foo-1-arm64.tar.gz"]
    ebuild = project.ebuild("dev-util/foo/foo-1.ebuild")
    assert (
        f"amd64? ( {project.services.base}/download/me/foo/v1/foo-linux-amd64.tar.gz -> foo-1-amd64.tar.gz )" in ebuild
    )
    wanted[0]["matcher"] = "windows"
    project.spec(one("builtin-github", {"github": {"user": "me"}, "assets": wanted}))
    failed = project.thin()
    problem = failed["packages"][0]["problems"][0]
    assert (failed["status"], problem["code"]) == (1, "asset-not-found")
    assert "foo-darwin.tar.gz" in problem["hint"] and problem["line"] > 0


def test_github_asset_that_is_not_what_the_api_says(project: Project, github: GitHub) -> None:
    github.repository("me/foo", ["v1"], [{"tag_name": "v1", "assets": {"foo.tar.gz": b"good"}}])
    project.services.files["/download/me/foo/v1/foo.tar.gz"] = b"evil"
    assets = [{"name": "foo-1.tar.gz", "matcher": "foo"}]
    project.spec(one("builtin-github", {"github": {"user": "me"}, "assets": assets}))
    report = project.thin()
    assert report["packages"][0]["problems"][0]["code"] == "distfile-mismatch"
    assert not project.made("dev-util/foo").exists()
    assert not (project.root / "work/downloads/foo-1.tar.gz").exists()


def test_a_release_that_names_its_tag_without_v(project: Project, github: GitHub) -> None:
    github.repository("me/foo", ["v0.29.0"], [{"tag_name": "0.29.0", "name": "0.29.0"}])
    project.services.files["/api/repos/me/foo/tarball/0.29.0"] = tarball("x", {})
    project.spec(one("builtin-github", {"github": {"user": "me"}}))
    assert project.thin()["packages"][0]["version"] == "0.29.0"


def test_a_token_goes_to_its_host_and_into_no_message(project: Project, github: GitHub) -> None:
    github.repository("me/foo", ["v1"])
    project.services.files["/api/repos/me/bad/tags"] = lambda request: request.status(401)
    project.services.files["/api/repos/me/foo/tarball/refs/tags/v1"] = lambda request: request.status(
        302, {"Location": f"http://localhost:{project.services.base.rpartition(':')[2]}/elsewhere"}
    )
    project.services.files["/elsewhere"] = b"content"
    project.env["GITHUB_TOKEN"] = "s3cr3t-token"
    spec = one("builtin-github", {"github": {"user": "me", "query": "tags"}})
    spec["one"]["packages"].append({"bad": {"github": {"user": "me", "query": "tags"}}})
    project.spec(spec)
    ran = project.call("--thin", "--verbose")
    assert ran.status == 1 and "HTTP 401" in ran.err
    assert "s3cr3t" not in ran.out + ran.err
    tokens = {path: headers.get("Authorization") for _, path, headers in project.services.asked}
    assert tokens["/api/repos/me/foo/tags"] == "Bearer s3cr3t-token"
    assert tokens["/api/repos/me/foo/tarball/refs/tags/v1"] == "Bearer s3cr3t-token", "GitHub counts downloads, too"
    assert tokens["/elsewhere"] is None


def test_rate_limit(project: Project, github: GitHub) -> None:
    github.repository("me/foo", ["v1"])
    known = project.services.files["/api/repos/me/foo/tags"]
    left = [0]

    def limited(request: Request) -> None:
        if left[0] < 1:
            left[0] += 1
            request.status(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()))})
        else:
            known(request)

    project.services.files["/api/repos/me/foo/tags"] = limited
    project.spec(one("builtin-github", {"github": {"user": "me", "query": "tags"}}))
    assert project.thin()["status"] == 0
    later = str(int(time.time()) + 3000)
    project.services.files["/api/repos/me/foo/tags"] = lambda request: request.status(
        403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": later}
    )
    began = time.monotonic()
    assert project.thin()["packages"][0]["problems"][0]["code"] == "rate-limited"
    assert time.monotonic() - began < 20


def test_gitlab(project: Project) -> None:
    services, path = project.services, "/api/v4/projects/group%2Ffoo"
    services.json(
        path, {"name": "Foo", "description": "d", "web_url": "https://h/foo", "http_url_to_repo": "https://h/foo.git"}
    )
    services.pages(f"{path}/repository/tags", [{"name": "v1.2", "commit": {"id": sha("1.2")}}])
    sources = [{"format": kind, "url": f"{services.base}/archive/foo.{kind}"} for kind in ("zip", "tar.gz", "tar.bz2")]
    release = {"name": "Release 1.2", "tag_name": "v1.2", "assets": {"sources": sources, "links": []}}
    services.pages(f"{path}/releases", [release])
    services.files["/archive/foo.tar.bz2"] = b"bz2"
    options = {"generator_opts": {"host": services.base}}
    atom: dict[str, Any] = {
        "gitlab": {"user": "group"},
        "transform": [{"kind": "string", "match": "Release ", "replace": ""}],
    }
    project.spec(one("builtin-gitlab", atom, **options))
    short = sha("1.2")[:7]
    assert project.thin()["packages"][0]["distfiles"] == [f"foo-1.2-{short}.tar.bz2"]
    services.files["/group/foo/-/archive/v1.2/foo-v1.2.tar.gz"] = b"tar"
    project.spec(one("builtin-gitlab", {"gitlab": {"user": "group", "query": "tags"}}, **options))
    assert project.thin()["packages"][0]["distfiles"] == [f"foo-1.2-{short}.tar.gz"]
    assert f"{services.base}/group/foo/-/archive/v1.2/foo-v1.2.tar.gz ->" in project.ebuild(
        "dev-util/foo/foo-1.2.ebuild"
    )
    assert services.strange == []


def test_forgejo(project: Project) -> None:
    services, path = project.services, "/api/v1/repos/me/foo"
    services.json(path, {"full_name": "me/foo", "description": "d", "website": "https://foo.example", "clone_url": "u"})
    services.pages(f"{path}/tags", [{"name": "1.5", "commit": {"sha": sha("1.5")}, "tarball_url": "x"}], size="limit")
    release = {
        "name": "",
        "tag_name": "1.5",
        "tarball_url": f"{services.base}/t.tar.gz",
        "draft": False,
        "prerelease": False,
    }
    services.pages(f"{path}/releases", [release], size="limit")
    services.files["/t.tar.gz"] = b"t"
    atom = {"forgejo": {"user": "me", "per_page": 5}}
    project.spec(one("builtin-forgejo", atom, generator_opts={"host": services.base}))
    assert project.thin()["packages"][0]["distfiles"] == [f"foo-1.5-{sha('1.5')[:7]}.tar.gz"]
    assert 'HOMEPAGE="https://foo.example"' in project.ebuild("dev-util/foo/foo-1.5.ebuild")
    assert any("draft=false" in path and "limit=5" in path for path in services.paths(f"{path}/releases"))
    project.spec(one("builtin-forgejo", atom))
    assert project.thin()["packages"][0]["problems"][0]["code"] == "no-host"


@pytest.mark.parametrize("href", ["foo-1.10.tar.xz", "/pub/foo-1.10.tar.xz", "{base}/pub/foo-1.10.tar.xz"])
@pytest.mark.parametrize("url", ["{base}/pub/", "{base}/pub"])
def test_dirlisting(project: Project, href: str, url: str) -> None:
    base = project.services.base
    links = ["../", "foo-1.9.tar.xz", href.format(base=base), "foo-2.0beta.tar.xz", "foo-9.tar.xz.sig"]
    links = ["../", "foo-1.9.tar.xz", href.format(base=base), "foo-2.0beta.tar.xz", "foo-9.tar.xz.sig"]
    page = "<a>none</a>" + "".join(f'<a href="{link}">x</a>' for link in [*links, "file:///etc/foo-99.tar.xz"])
    project.services.files["/pub/"] = project.services.files["/pub"] = page.encode()
    project.services.files["/pub/foo-1.10.tar.xz"] = b"ten"
    transform = [{"kind": "regex", "match": r"^foo-(.*)\.tar\.xz$", "replace": "${1}"}]
    listing = {"url": url.format(base="{{ .Values.site }}"), "matcher": r"foo-.*\.tar\.xz$", "exclude": "beta"}
    vars = {"site": base, "homepage": base}
    project.spec(one("builtin-dirlisting", {"dir": listing, "transform": transform, "vars": vars}))
    report = project.thin()
    assert report["packages"][0]["distfiles"] == ["foo-1.10.tar.xz"]
    assert f"{base}/pub/foo-1.10.tar.xz -> foo-1.10.tar.xz" in project.ebuild("dev-util/foo/foo-1.10.ebuild")


def test_json(project: Project) -> None:
    base = project.services.base
    files = [{"filename": f"foo{v}.linux.tar.gz", "url": f"{base}/dl/foo{v}.linux.tar.gz", "kind": k}
             for v, k in (("1.21.1", "archive"), ("1.21.1", "installer"), ("1.9", "archive"))]  # fmt: skip
    data = [
        {"version": "1.21.1", "stable": True, "n": 1.10, "files": files[:2]},
        {"version": "1.9", "files": files[2:]},
    ]
    project.services.files["/dl/json?mode=foo"] = json.dumps(data).encode()
    project.services.files["/dl/foo1.21.1.linux.tar.gz"] = b"go"
    query = {
        "url": f"{base}/dl/json",
        "params": {"mode": "{{ .Values.pn }}"},
        "version_filter": "$[*].version",
        "src_uri_filter": '$[?(@.version=="{{ .Values.original_version }}")].files[?(@.kind=="archive")].url',
        "map_filter_vars": {"desc": '$[?(@.version=="{{ .Values.version }}")].n'},
    }
    project.spec(one("builtin-json", {"json": query}))
    report = project.thin()
    assert report["packages"][0]["distfiles"] == ["foo1.21.1.linux.tar.gz"], report
    assert 'DESCRIPTION="1.1"' in project.ebuild("dev-util/foo/foo-1.21.1.ebuild")
    for key, value, code in (("version_filter", "$[", "bad-jsonpath"), ("src_uri_filter", "$[0].n.x", "no-tarball")):
        project.spec(one("builtin-json", {"json": {**query, key: value}}))
        assert project.thin()["packages"][0]["problems"][0]["code"] == code


def test_json_keys_of_an_object_are_versions(project: Project) -> None:
    project.services.json("/index", {"releases": {"1.2": {}, "1.10": {}, "nightly": {}}})
    query = {"url": f"{project.services.base}/index", "version_filter": "$.releases", "exclude": "night"}
    assets = [{"name": "foo.tgz", "url": project.services.base + "/v{{ .Values.version }}/foo.tgz"}]
    project.services.files["/v1.10/foo.tgz"] = b"x"
    project.spec(one("builtin-json", {"json": query, "assets": assets}))
    assert project.thin()["packages"][0]["version"] == "1.10"


def test_pypi(project: Project) -> None:
    requires = ["distlib<1,>=0.3.7", "filelock>=3.12; python_version<'3.8'", 'pytest>=7; extra == "test"', "six"]
    versions = {
        "1.9": {"requires_python": ">=3.8", "requires_dist": ["old-thing"]},
        "1.10": {"requires_python": ">=3.9", "requires_dist": requires},
        "1.11": {"requires_python": ">=3.15", "requires_dist": []},
        "1.12": {"yanked": True},
        "2.0b1": {},
    }
    pypi_project(project.services, "Foo", versions, summary='Says "hi"', license="MIT", home_page="https://foo.example")
    project.spec(one("builtin-pypi", {"pypi_name": "Foo", "python_compat": "python3_{11..13}"}))
    report = project.thin()
    assert (report["packages"][0]["version"], report["packages"][0]["distfiles"]) == ("1.10", ["Foo-1.10.tar.gz"])
    ebuild = project.ebuild("dev-util/foo/foo-1.10.ebuild")
    expected = [">=dev-python/distlib-0.3.7[${PYTHON_USEDEP}]", "<dev-python/distlib-1[${PYTHON_USEDEP}]",
                "dev-python/six[${PYTHON_USEDEP}]"]  # fmt: skip
    assert ebuild.partition('DEPEND="\n')[2].rstrip('"\n').splitlines() == expected
    assert 'DESCRIPTION="Says hi"' in ebuild and 'HOMEPAGE="https://foo.example"' in ebuild
    assert project.services.strange == []


def test_pypi_file_with_another_digest(project: Project) -> None:
    pypi_project(project.services, "foo", {"1.0": {}})
    project.services.files["/files/foo-1.0.tar.gz"] = b"evil"
    project.spec(one("builtin-pypi", {}))
    assert project.thin()["packages"][0]["problems"][0]["code"] == "distfile-mismatch"


def test_noop_needs_versions(project: Project) -> None:
    project.spec(one("builtin-noop", {}))
    report = project.thin()
    assert report["packages"][0]["problems"][0]["code"] == "no-version"
    atom = "{vars: {versions: [1.10]}, template: templates/t.tmpl}"
    project.spec(f"one:\n generator: builtin-noop\n defaults: {{category: a}}\n packages: [{{foo: {atom}}}]\n")
    assert project.thin()["packages"][0]["version"] == "1.10", "a version is never a number"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda request: request.status(500), "request-failed"),
        (lambda request: request.status(302, {"Location": "file:///etc/passwd"}), "bad-url"),
        (lambda request: request.send(b"<html>"), "bad-json"),
        (lambda request: request.send(b'{"a": 1}'), "bad-answer"),
        (lambda request: request.send(b"[" * 100_000), "bad-json"),
        (lambda request: request.send(b"[1, null, {}]"), "no-version"),
        (lambda request: request.send(b'[{"name": "v1", "commit": "text"}]'), "unexpected"),
    ],
)
def test_bad_answers(project: Project, answer: Any, code: str) -> None:
    project.services.files["/api/repos/me/foo/tags"] = answer
    project.spec(one("builtin-github", {"github": {"user": "me", "query": "tags"}}))
    report = project.thin()
    assert report["status"] == 1
    assert report["packages"][0]["problems"][0]["code"] == code


def test_a_list_of_100_000_tags(project: Project, github: GitHub) -> None:
    tags = [{"name": f"v0.{number}", "commit": {"sha": sha("x")}, "tarball_url": ""} for number in range(100_000)]
    project.services.json("/api/repos/me/foo/tags", tags)
    project.spec(one("builtin-github", {"github": {"user": "me", "query": "tags"}, "ignore_artefacts": True}))
    report = project.thin()
    assert report["packages"][0]["problems"][0]["code"] == "no-tarball"
    assert report["packages"][0]["version"] == ""


def test_names_from_outside_that_could_do_harm(project: Project, github: GitHub) -> None:
    release = {"tag_name": "v1", "assets": {"a": b"x"}}
    github.repository("me/foo", ["v1"], [release])
    assets = [{"name": "../../{{ .Values.pn }}", "matcher": "a"}]
    project.spec(one("builtin-github", {"github": {"user": "me"}, "assets": assets}))
    assert project.thin()["packages"][0]["problems"][0]["code"] == "bad-file-name"
    tag = {"name": "v1", "commit": {"sha": "0" * 40}, "tarball_url": 'http://x/"; rm -rf /; "'}
    project.services.json("/api/repos/me/foo/tags", [tag])
    project.spec(one("builtin-github", {"github": {"user": "me", "query": "tags"}}))
    assert project.thin()["packages"][0]["problems"][0]["code"] == "bad-url"
