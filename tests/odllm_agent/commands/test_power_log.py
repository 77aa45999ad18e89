"""What a meter at the wall says, written down with times."""

import io
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.clock import now
from odllm_agent.commands.power_log import copy
from odllm_agent.meters.external import Sample


def copied(*lines: str) -> tuple[list[Sample], list[str]]:
    file, complaints = io.StringIO(), list[str]()
    n_left_out = copy(lines, file, complaints.append)
    assert n_left_out == len(complaints)
    return [Sample.parse(line) for line in file.getvalue().splitlines()], complaints


@given(st.floats(1e9, 2e9), st.floats(0, 3000))
def test_a_sample_with_its_time_stays_what_it_was(at_s: float, watts: float) -> None:
    ((sample,), complaints) = copied(f"{at_s!r},{watts!r}\n")
    assert not complaints
    assert abs(sample.at_s - at_s) < 1e-5
    assert sample.watts == watts


def test_watts_alone_are_given_the_time_of_their_coming() -> None:
    before = now().timestamp()
    (sample,), _ = copied("28.5\n")
    assert before - 1e-5 <= sample.at_s <= now().timestamp() + 1e-5
    assert sample.watts == 28.5


def test_what_is_no_sample_is_left_out_and_told() -> None:
    samples, complaints = copied("# my meter\n", "\n", "1700000000,3\n", "off\n", "1,2,3\n", "-4\n")
    assert [sample.watts for sample in samples] == [3]
    assert len(complaints) == 3
    assert "off" in complaints[0]


def test_the_command_appends_and_tells_by_its_status_what_was_left_out(tmp_path: Path) -> None:
    file = tmp_path / "power.csv"
    file.write_text("1700000000,1\n")
    done = subprocess.run(
        [sys.executable, "-m", "odllm_agent", "power-log", str(file)],
        input="1700000001,2\nnone\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "none" in done.stderr
    assert [line.partition(",")[2] for line in file.read_text().splitlines()] == ["1", "2.0"]


def test_a_line_is_in_the_file_before_the_next_one_comes(tmp_path: Path) -> None:
    file = tmp_path / "power.csv"
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "odllm_agent", "power-log", str(file)], stdin=reader
    ) as command:
        os.close(reader)
        os.write(writer, b"7\n")
        while not (file.exists() and file.read_text().endswith(",7.0\n")):
            assert command.poll() is None
        os.close(writer)
        assert command.wait() == 0
