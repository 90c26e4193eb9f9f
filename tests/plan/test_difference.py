# SPDX-License-Identifier: GPL-3.0-or-later
"""Why was this rebuilt?"""

from __future__ import annotations

import json

import pytest

from farm.plan.difference import Difference, differences
from farm.plan.job import ArchiveInput, CopyInput, FileInput, Job
from farm.plan.node import key_document
from farm.plan.reading import job_of


def test_equal_documents_differ_in_nothing() -> None:
    assert differences(key_document(Job(steps=("a",))), key_document(Job(steps=("a",)))) == []


def test_fields_are_named() -> None:
    old = Job(steps=("a", "b"), env=(("A", "1"), ("B", "2")), inputs=(FileInput("/luetbuild/x", "a" * 64),))
    new = Job(
        steps=("a", "c"),
        env=(("A", "1"), ("C", "3")),
        inputs=(ArchiveInput("c" * 64, "/luetbuild/s"), FileInput("/luetbuild/x", "b" * 64)),
        network=True,
    )
    assert differences(key_document(old), key_document(new)) == [
        Difference("inputs./luetbuild/x.digest", "a" * 64, "b" * 64),
        Difference("inputs./luetbuild/s", None, {"is": "ArchiveInput", "digest": "c" * 64}),
        Difference("steps.[1]", "b", "c"),
        Difference("env.B", "2", None),
        Difference("env.C", None, "3"),
        Difference("network", None, True),
    ]


def test_a_job_is_read_back_from_its_document() -> None:
    job = Job(
        layers=("a" * 64,),
        inputs=(
            FileInput("/luetbuild/x", "b" * 64, 0o755),
            CopyInput(("c" * 64,), "/a", "/b"),
            FileInput("/l", link="t"),
        ),
        prelude=("p",),
        steps=("s",),
        env=(("A", "1"),),
        network=True,
    )
    assert job_of(json.loads(json.dumps(key_document(job)))) == job
    with pytest.raises(ValueError, match="not a job"):
        job_of({"kind": "pack"})
