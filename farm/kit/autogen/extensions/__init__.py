# SPDX-License-Identifier: GPL-3.0-or-later
"""What is added to a package's artefacts: bundles of what a build would else download."""
