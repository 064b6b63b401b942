"""Peers of `benchmarks.votes`: the same counts kept by plain dramatiq and by celery, as their users write it."""
