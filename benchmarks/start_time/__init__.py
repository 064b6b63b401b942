"""An app for benchmarks: an event without cost of its own, and a subscriber that only reports when it started."""
