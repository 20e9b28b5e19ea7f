"""``python -m tailrace`` is the command ``tailrace``."""

import sys

from tailrace.cli import main

sys.exit(main())
