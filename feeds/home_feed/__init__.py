"""Home feed: which posts stand in whose feed.

Fan-out on write: each feed entry is written when a post is published. A post with more readers than FANOUT_THRESHOLD is
merged in when a feed is read (fan-out on read). A user absent for 7 days gets no entries; the feed is rebuilt on
return. Runs in the worker threads, in `manage.py rebuild_feeds`, and after a long absence in web processes. Writes
FeedEntry, PulledPost and User.last_seen_at.
"""
