"""The pages of the admin: what an operator sees and decides. Runs in web processes."""

from . import pages, subscriptions

__all__ = ["pages", "subscriptions"]
