"""`python -m nudge`: the same as the command `nudge`."""

import sys

from nudge.host.cli.start import main

sys.exit(main())
