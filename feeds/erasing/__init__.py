"""What is gone: texts whose time for restoring is over, and what is left of accounts that were deleted.

Promise: what was to be erased is nowhere any more, however often the work was cut off.
Runs in: worker threads, and `manage.py erase_removed`.
Writes: follows, memberships, the owners of circles, posts and comments, the redacted log, SearchDocument.
"""
