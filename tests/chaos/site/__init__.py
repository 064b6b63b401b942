"""A whole site under load over HTTP, for tests of upgrades: its content, its members, and what is held against it."""
