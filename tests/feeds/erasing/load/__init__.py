"""Load: what the processes under test have beside Airy: subscribers that quote all they can, and traps."""
