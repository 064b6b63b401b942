"""Airy: the project. Its settings, addresses and pages; the only package that imports every app.

Runs in every process. Writes no table.
"""

#: The version of Airy: also in pyproject.toml.
VERSION = "0.1.0"
