"""Template tags and filters of feeds' pages."""
