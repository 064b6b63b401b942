"""Notices: who gets which notice. Each user has at most one notice per subject, numbered without gaps in commit order.

Runs in the worker threads of the subscribers, in web requests and socket threads (mark_read), and in the admin
(withdraw). The only room that writes Notification and Stream; locks posts and comments.
"""
