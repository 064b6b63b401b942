"""Schemas: the input and output of the API, one noun per file."""
