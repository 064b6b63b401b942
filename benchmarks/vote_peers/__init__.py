"""Peers of the votes benchmark: the same count kept by plain dramatiq and by celery, as their users write it."""
