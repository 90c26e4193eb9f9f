# SPDX-License-Identifier: GPL-3.0-or-later
"""Floor 2: blobs, layers, the action cache, packing, garbage collection."""
