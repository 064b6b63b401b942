"""Mail: the letters that Airy sends, their links, and the tokens in these.

Subscribers send them, outside of any transaction, and again when the mail server did not take one: a letter may come
twice. An event names the user only; the token is made when the letter is written, so the log holds no secret. Runs in
workers. Writes no table.
"""
