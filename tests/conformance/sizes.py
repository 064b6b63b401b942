"""Sizes: each big case has a small one for every run, and its full one for runs of the slow tests."""

from __future__ import annotations

from typing import Any

import pytest


def small(*values: int) -> Any:
    """The size of every run."""
    return pytest.param(*values, id="small")


def full(*values: int) -> Any:
    """The size that the case has where it was taken from."""
    return pytest.param(*values, id="full size", marks=[pytest.mark.slow, pytest.mark.timeout(1800)])
