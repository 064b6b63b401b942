"""Sessions: where a user is signed in, so that they can see it and end it.

Promise: a session that is listed can be ended; one that ended is gone from the list, with what is known of its browser.
Runs in web processes. Writes the tables of sessions.
"""
