"""The pages of the admin: what an operator sees and decides. Runs in web processes."""

from . import pages

__all__ = ["pages"]
