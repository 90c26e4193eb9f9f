# SPDX-License-Identifier: GPL-3.0-or-later
"""Floor 3: where a job runs. One file for each way, behind one protocol."""
