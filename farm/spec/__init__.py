# SPDX-License-Identifier: GPL-3.0-or-later
"""Floor 0: what the user wrote. Models, schemas, loading, templates, versions, the dependency solver."""
