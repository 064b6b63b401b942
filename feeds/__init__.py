"""The community: users, posts, comments, votes, follows and circles.

The root holds what Django expects and the vocabulary (events, signals, subscribers, forms, errors, ranking).
Each folder is one subject: actions/ (writes), lists/ (reads), home_feed/, counts/, search/, text/, batch/ (long work),
limits/ (how often), stackexchange/ (the importer), demo/, views/ (pages), api/ (JSON), models/.
"""
