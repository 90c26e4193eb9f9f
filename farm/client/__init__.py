# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of wagons: what is configured, synced, solved, installed and queried (docs/client.md)."""
