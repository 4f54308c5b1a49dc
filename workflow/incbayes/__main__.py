"""Runs the command `incbayes` as `python -m incbayes`."""

import sys

from incbayes.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
