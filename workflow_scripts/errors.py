"""Mistakes a user can mend."""


class InputError(Exception):
    """Bad input from outside: a config key, a file, an id.

    The message is one line that names the thing, what is wrong with it and what would be right.
    """
