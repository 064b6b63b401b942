"""Views: the pages of feeds, one noun per file. They parse and render; feeds.actions write, feeds.lists read.

Runs in web processes.
"""
