"""Push: after a commit, hints go to the open sockets of the users concerned. A hint may be lost; nothing waits for it.

Runs in the thread that committed (web or worker) and in a slot of the task pool. Writes no table.
"""
