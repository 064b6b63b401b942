"""Ours and what people would pick instead, in turn, in one run; ratios of medians."""
