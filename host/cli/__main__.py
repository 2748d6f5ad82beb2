"""`python -m host.cli`: the same as `nudge`."""

import sys

from .main import main

sys.exit(main())
