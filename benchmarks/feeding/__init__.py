"""What `benchmarks.feeds` measures with."""
