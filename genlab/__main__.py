"""``python -m genlab`` is the command line."""

from genlab.cli.main import main

raise SystemExit(main())
