"""Stack Exchange: load a dump of one of its sites as people, posts, comments, votes and follows, with all their events.

A question is a post, an answer a comment of it, a comment a comment of the question or an answer to the answer.
"""
