#!/usr/bin/env python
"""Airy's command line."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airy.settings")
    from django.core.management import execute_from_command_line

    from events.db import name_sessions

    name_sessions(next((word for word in sys.argv[1:] if not word.startswith("-")), "help"))
    execute_from_command_line(sys.argv)
