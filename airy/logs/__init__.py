"""Logs: each line is one JSON object, whoever wrote it: Airy, Django, uvicorn, dramatiq, or Python itself.

`lines` writes a record as such a line, `request` knows to which request it belongs, `masking` masks what must not be
read there, `set_up` takes over from every other formatter.
"""
