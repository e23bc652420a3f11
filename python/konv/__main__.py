"""`python -m konv` is the `konv` command."""

import sys

from konv.cli import main

if __name__ == "__main__":
    sys.exit(main())
