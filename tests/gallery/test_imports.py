import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["genlab.gallery.page", "genlab.gallery.tables", "genlab.cli.main"]
)
def test_pages_and_tables_are_written_without_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
