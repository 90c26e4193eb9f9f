# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image``: SD card images of boards."""

from __future__ import annotations

import click

from farm.cli.lazy import LazyGroup

COMMANDS = {
    "build": ("farm.cli.image.build", "Make images, from source tarballs on, in one graph."),
    "list": ("farm.cli.image.show", "List the boards that there are files for."),
    "show": ("farm.cli.image.show", "Show what a board's image is made of, and where everything lies."),
    "inspect": ("farm.cli.image.file", "Show what is in an image file, also as a picture."),
    "verify": ("farm.cli.image.file", "Check an image's structure, boot loaders, file systems, digests, signature."),
    "write": ("farm.cli.image.write", "Write an image to a card, and read it back."),
    "boot": ("farm.cli.image.boot", "Start an image in QEMU."),
    "test": ("farm.cli.image.boot", "Boot images in QEMU and check what runs in them."),
}
"""Name of a command → its module and what it is for."""


@click.group(cls=LazyGroup, table=COMMANDS)
def image() -> None:
    """Make, look at, write and boot SD card images of boards."""
