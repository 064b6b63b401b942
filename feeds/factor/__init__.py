"""Factor: codes of a second factor: those that an app shows (TOTP, RFC 6238), and those kept for the day it is lost.

Pure functions; the rows are in `models/second_factors.py`. Runs in web processes. Writes no table.
"""
