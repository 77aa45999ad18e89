"""One process at a time."""

import os
import subprocess
import sys
from pathlib import Path

from odllm_agent.files.lock import Claim

HOLD = """
import sys
from pathlib import Path
from odllm_agent.files.lock import Claim
claim = Claim(Path(sys.argv[1]))
print(claim.take(), flush=True)
sys.stdin.read()
"""


def test_a_claim_is_one_process_s_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        mine = Claim(path)
        assert not mine.take()
        assert mine.holder == f"process {other.pid}"
        other.kill()
    assert mine.take(patience_s=10.0)
    assert mine.take(), "it is held already"
    assert mine.holder == f"process {os.getpid()}"


def test_a_claim_that_is_given_up_can_be_taken(tmp_path: Path) -> None:
    first, second = Claim(tmp_path / "lock"), Claim(tmp_path / "lock")
    assert first.take()
    first.release()
    assert second.take()
    first.release()
    assert second.holder == f"process {os.getpid()}"
