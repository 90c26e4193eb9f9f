# SPDX-License-Identifier: GPL-3.0-or-later
"""Why was this rebuilt?"""

from __future__ import annotations

from farm.plan.difference import Difference, differences
from farm.plan.job import ArchiveInput, FileInput, Job
from farm.plan.node import key_document


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
