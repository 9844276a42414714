"""`python -m nnc` is `nnc`."""

from .cli import main

raise SystemExit(main())
