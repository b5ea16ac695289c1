"""How long tests wait for what must come."""

import os

SLOWER = float(os.environ.get("WATCHKEEPER_SLOWER", "1"))
"""Than a host: emulated kernels set it."""
