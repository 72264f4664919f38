"""``python -m flashpy``: the same as the command ``flashpy``."""

from flashpy.cli import main

if __name__ == "__main__":
    main()
