"""The command line."""

import sys

from contract.document import main

sys.exit(main())
