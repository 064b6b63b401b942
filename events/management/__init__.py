"""Commands for an operator: each parses arguments, calls one verb of `repair/` or `worker/`, and prints."""
