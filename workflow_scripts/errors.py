"""Mistakes a user can mend, and text from data as a message may show it."""

MAX_LINE = 1000  # characters
CUT = " ... "


class InputError(Exception):
    """Bad input from outside: a config key, a file, an id.

    Each of its lines names the thing, what is wrong with it and what would be right; most have one.
    What comes from data cannot make more of them, see `one_line`.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__(*map(one_line, lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


def one_line(text: str) -> str:
    """Text with everything escaped that is not printed as it is, its middle cut where it is long.

    So no id or file name breaks a line, moves a terminal's cursor or hides what stands around it.
    """
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    half = (MAX_LINE - len(CUT)) // 2
    return line if len(line) <= MAX_LINE else line[:half] + CUT + line[-half:]
