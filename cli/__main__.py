"""`python -m cli`: the command without its being installed."""

import sys

from .main import main

sys.exit(main())
