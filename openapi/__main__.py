"""Runs `python -m openapi`."""

import sys

from openapi.document import main

sys.exit(main())
