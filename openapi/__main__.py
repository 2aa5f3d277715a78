"""The command line."""

import sys

from openapi.document import main

sys.exit(main())
