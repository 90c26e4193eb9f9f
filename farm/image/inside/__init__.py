# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs inside the job that writes an image: the standard library only, no farm module from outside this folder."""
