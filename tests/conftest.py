"""Puts the checkout first, so that tests run uninstalled too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
