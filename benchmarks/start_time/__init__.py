"""An app for benchmarks: events that cost nothing, and a subscriber that says when it began."""
