"""Lists: what a viewer reads, one page at a time: posts, threads, circles, profiles.

Blocked, muted and deleted content is filtered here, when it is read, so a late subscriber cannot show it. A viewer's
own posts, comments and votes are shown before a subscriber has handled them. Runs in web processes. Writes only
`last_seen_at` of the viewer and, after a long absence, the viewer's feed entries.
"""
