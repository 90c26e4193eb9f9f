# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages: what a root consists of, how it is made in steps, and the tarballs and images that it is given out as."""
