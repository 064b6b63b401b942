"""The pages of feeds, one file per noun: they parse and render; feeds.actions write, feeds.lists read."""
