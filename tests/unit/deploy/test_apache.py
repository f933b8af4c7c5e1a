"""What the local run tells Apache Kafka."""

import base64
from pathlib import Path

from deploy.local.apache import cluster_id


def test_no_folder_gives_a_cluster_id_that_would_be_taken_for_an_option() -> None:
    ids = {cluster_id(Path(f"/runs/{number}")) for number in range(1000)}
    assert len(ids) > 990, "runs are told apart"
    assert not [one for one in ids if one.startswith("-")]
    assert {len(base64.urlsafe_b64decode(one + "==")) for one in ids} == {16}
