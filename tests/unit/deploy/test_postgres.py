"""The data folder of the local run's PostgreSQL."""

import os
import subprocess
from pathlib import Path

from deploy.local import postgres
from deploy.local.config import Local, free_port


def test_a_data_folder_made_where_the_kernel_allowed_another_way_is_taken_over(tmp_path: Path) -> None:
    local = Local(tmp_path, {"postgres": free_port()}, {"postgres": "test"})
    postgres.initialise(local)
    data = tmp_path / "postgres"
    ours = data.stat().st_uid
    if os.geteuid() == 0:
        other = 65534 if ours == 0 else 0
        for path in (data, *data.rglob("*")):
            os.chown(path, other, other)
    postgres.initialise(local)
    assert {path.stat().st_uid for path in (data, *data.rglob("*"))} == {ours}
    words = postgres.command(local)
    reads = subprocess.run(
        [*words[: words.index("-D")], "-C", "port", *words[words.index("-D") :]], check=False, capture_output=True
    )
    assert reads.returncode == 0, reads.stderr
