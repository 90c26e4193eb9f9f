# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox: jobs in Linux namespaces over an overlay, without a daemon. See docs/sandbox.md.

`runner` and `supervise` run inside the farm; `spawner`, `root`, `init` and what they use run in the helper
process below it, where nothing may be imported once the root has been changed.
"""
