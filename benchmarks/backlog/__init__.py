"""An app for `benchmarks.drain`: the same effects of the same events for Airy and for the systems beside it."""
