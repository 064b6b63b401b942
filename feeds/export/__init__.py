"""Export: everything that is stored of one person, as one JSON archive.

Promise: the archive shows one moment; every relation of any model to a user is in a section, or left out with a reason.
Its memory does not grow with its rows. Runs in web processes, and writes no table.
"""
