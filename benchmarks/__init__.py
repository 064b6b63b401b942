"""Benchmarks: Airy and what people would use instead, measured in turns in one run; prints ratios of medians."""
