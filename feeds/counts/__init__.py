"""Counts: upvotes, downvotes and comments of posts and comments, and the ranks that follow from the votes.

Counts change by deltas, each added once, in any order; `manage.py recount` compares them with the votes and comments.
Runs in the worker threads (the subscribers that count) and in `recount`.
Writes EntityCounts and EarlierCounts (the count history), and deletes rows of Uncounted (the pending counts).
"""
