"""Writes the generated files, or with `--check` compares them."""

import sys

from incbayes.docgen.generate import main

sys.exit(main())
