# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs in containers of a Docker engine on this host. See docs/docker.md.

`runner` runs a job; `images` turns the store's layers into an image and `upper` takes the container's changes
back; `pid1` and `settle` are what runs inside; `engine` talks to the daemon; `owner` and `reap` see to
it that nothing is left behind.
"""

from farm.runner.docker.runner import DockerRunner

__all__ = ["DockerRunner"]
