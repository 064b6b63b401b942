"""Commands for an operator: each parses arguments, calls one verb of feeds, and prints."""
