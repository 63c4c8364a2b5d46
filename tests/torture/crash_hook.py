"""The crash hook: a board's process ends in the middle of what it does, at a point that has a name."""


def install(folder: str) -> None:
    """Let this process end at the point that a file in the folder names."""
    del folder
