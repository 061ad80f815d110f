"""Input that nobody meant: every case ends in success or in one line with the right exit code.

``python -m tests.fuzz --cases 10000`` is the long form; ``test_short.py`` runs some of each kind.
"""
