"""Lines with ``kndb`` as people would type them, against the program's real options."""

import shlex

UNLESS_SAID = (
    "check"  # of `kndb factcheck`: it need not be typed, so its group's name stands for it
)


def parse(program, line):
    """Parse what follows ``kndb`` in the line, as the program would, and run nothing.

    What a shell takes for itself (a comment, a file for standard input) is left out.
    """
    words = shlex.split(line[line.index("kndb") + 5 :].partition(" <")[0], comments=True)
    command = program
    while below := getattr(command, "commands", {}):
        name = words.pop(0) if words and words[0] in below else UNLESS_SAID
        if name not in below:
            break
        command = below[name]
    if hasattr(command, "commands") and words:
        assert words[0].startswith("-"), f"No such command: {words[0]}"
    command.make_context(command.name, words).close()


def value(line, option):
    """What the line gives to an option; None where it does not have it."""
    words = shlex.split(line, comments=True)
    return words[words.index(option) + 1] if option in words else None
