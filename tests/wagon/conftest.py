# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of wagons share."""

from __future__ import annotations

from pathlib import Path

import pytest
from workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Three packages, one of them virtual's provider with a finalizer."""
    shop = Workshop(tmp_path)
    shop.both("lib/greet", description="Greeting library", license="MIT")
    shop.both("app/greeter", requires=[{"category": "lib", "name": "greet", "version": ">=1.0"}])
    shop.both(
        "app/editor",
        provides=[{"category": "virtual", "name": "editor", "version": "1"}],
        annotations={"config_protect": "/etc/editor"},
        payload="free",
        finalizer="install: ['echo {{ .Values.payload }}']\n",
    )
    return shop


@pytest.fixture
def samples() -> Path:
    """Wagons that the Go tool made (``go``) and that were made by hand for its client (``minimal``)."""
    return Path(__file__).parent.parent / "data" / "wagons"
