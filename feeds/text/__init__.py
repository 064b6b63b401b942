"""Text: what people write: cleaned, checked, parsed as Markdown, rendered as safe HTML; usernames and slugs.

Pure functions without a database; they run in every process and write no table.
"""
