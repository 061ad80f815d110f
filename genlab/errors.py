"""What can go wrong, by whose hand: each error is one line for the person at the terminal.

The line says what was given, what was expected and what to type instead.
"""


class GenlabError(Exception):
    """Anything genlab reports without a traceback. code: the exit code of the command line."""

    code = 1


class UsageError(GenlabError, ValueError):
    """The command, the configuration or a file that it names is wrong."""

    code = 2


class DataError(UsageError):
    """A data file is missing, truncated or altered."""


class UnsupportedData(UsageError):
    """A model or a part of it cannot take data of this support or shape."""


class PluginError(GenlabError):
    """An installed package that offers components to genlab is broken."""

    code = 3
