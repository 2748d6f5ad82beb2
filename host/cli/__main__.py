"""`python -m host.cli`: the same as `nudge`."""

import sys

from .start import main

sys.exit(main())
