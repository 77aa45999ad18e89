"""Control groups, told by /proc as it was captured from machines and containers."""

from pathlib import Path

import pytest

from odllm_agent.host import control_groups
from odllm_agent.host.control_groups import (
    GroupMembership,
    Quota,
    cpu_groups,
    memory_groups,
    tightest,
)
from tests.small_files import SPOILT, spoil, write

CGROUP = "4:memory:/process_api/9969\n3:cpuset:/\n2:cpu,cpuacct:/\n0::/\n"
# Of a virtual machine with both versions, mounted where systemd mounts them.
SPLIT = """22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 22 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:10 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
CPU_STAT_1 = "nr_periods 157\nnr_throttled 45\nthrottled_time 2063401229\nnr_bursts 0\n"
CPU_STAT_2 = "usage_usec 3010\nnr_periods 12\nnr_throttled 7\nthrottled_usec 30101\n"


def quota(of: GroupMembership) -> Quota | None:
    return tightest(cpu_groups(of))


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("100000 100000\n", 1.0),
        ("150000 100000\n", 1.5),
        ("20000\n 50000\n", 0.4),
        ("max 100000\n", None),
        ("-1\n 100000\n", None),
        ("100000 0\n", None),
        ("100000\n", None),
        ("much 100000\n", None),
        (" ", None),
    ],
)
def test_a_quota_is_told_in_cores(limit: str, cores: float | None) -> None:
    assert control_groups.quota_cores(limit) == cores


@pytest.mark.parametrize(
    ("cpu_stat", "periods"),
    [(CPU_STAT_1, 45), (CPU_STAT_2, 7), ("usage_usec 3010\n", None), ("", None)],
)
def test_periods_without_processor_time_are_counted_where_the_kernel_tells(
    cpu_stat: str, periods: int | None
) -> None:
    assert control_groups.throttled_periods(cpu_stat) == periods


def test_the_tightest_quota_of_a_version_2_group_and_those_above_it_binds(tmp_path: Path) -> None:
    files = {"a__cpu.max": "50000 100000\n", "a__b__cpu.max": "200000 100000\n"}
    top = write(tmp_path / "sys/fs/cgroup", **files, **{"a__b__c__cpu.max": "max 100000\n"})
    assert quota(GroupMembership("0::/a/b/c\n", UNIFIED, tmp_path)) == Quota(0.5, top / "a")


def test_a_version_1_quota_is_found_where_its_controller_is_mounted(tmp_path: Path) -> None:
    top = tmp_path / "sys/fs/cgroup/cpu,cpuacct"
    write(top, **{"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"})
    write(top / "q", **{"cpu.cfs_quota_us": "100000\n", "cpu.cfs_period_us": "100000\n"})
    inside = GroupMembership("2:cpu,cpuacct:/q\n0::/\n", SPLIT, tmp_path)
    assert quota(inside) == Quota(1.0, top / "q")
    assert quota(GroupMembership(CGROUP, SPLIT, tmp_path)) is None


def test_throttled_periods_of_all_groups_above_count_together(tmp_path: Path) -> None:
    write(tmp_path / "sys/fs/cgroup", **{"a__cpu.stat": CPU_STAT_2, "a__b__cpu.stat": CPU_STAT_2})
    groups = cpu_groups(GroupMembership("0::/a/b\n", UNIFIED, tmp_path))
    assert control_groups.throttle_count(groups) == 14
    assert control_groups.throttle_count(()) is None


@pytest.mark.parametrize(
    ("path", "root"),
    [
        pytest.param("/", "/", id="a namespace of its own"),
        pytest.param("/docker/abc", "/", id="the path as the host sees it"),
        pytest.param("/system.slice/docker-abc.scope", "/system.slice/docker-abc.scope", id="both"),
        pytest.param("/", "/..", id="mounted from outside of the namespace"),
        pytest.param("/../../docker/abc", "/", id="a process from outside of the namespace"),
    ],
)
def test_a_container_is_bound_by_the_group_that_it_sees_as_the_root(
    tmp_path: Path, path: str, root: str
) -> None:
    top = write(tmp_path / "sys/fs/cgroup", **{"cpu.max": "150000 100000\n"})
    mountinfo = f"612 611 0:26 {root} /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n"
    assert quota(GroupMembership(f"0::{path}\n", mountinfo, tmp_path)) == Quota(1.5, top)


def test_a_group_inside_of_a_container_is_found_below_what_the_container_sees(
    tmp_path: Path,
) -> None:
    top = write(tmp_path / "sys/fs/cgroup", **{"cpu.max": "150000 100000\n"})
    write(top, **{"inner__cpu.max": "20000 100000\n"})
    mountinfo = "612 611 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
    inside = GroupMembership("0::/docker/abc/inner\n", mountinfo, tmp_path)
    assert quota(inside) == Quota(0.2, top / "inner")


def test_a_folder_whose_name_has_a_space_is_found(tmp_path: Path) -> None:
    top = write(tmp_path / "control groups", **{"cpu.max": "50000 100000\n"})
    mountinfo = "30 23 0:26 / /control\\040groups rw - cgroup2 cgroup2 rw\n"
    assert quota(GroupMembership("0::/\n", mountinfo, tmp_path)) == Quota(0.5, top)


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert quota(GroupMembership("", "", tmp_path)) is None


def test_a_version_2_group_is_bound_by_the_narrowest_group_above_it(tmp_path: Path) -> None:
    write(
        tmp_path / "sys/fs/cgroup",
        **{"a__memory.max": "1000\n", "a__memory.current": "900\n"},
        **{"a__memory.stat": "anon 500\ninactive_file 250\nactive_file 50\n"},
        **{"a__b__memory.max": "max\n", "a__b__memory.current": "100\n"},
    )
    groups = memory_groups(GroupMembership("0::/a/b\n", UNIFIED, tmp_path))
    assert [group.available_bytes() for group in groups] == [None, 400]


def test_a_version_1_group_counts_the_cache_of_those_below_it(tmp_path: Path) -> None:
    write(
        tmp_path / "sys/fs/cgroup/memory/process_api",
        **{"memory.limit_in_bytes": "1000\n", "memory.usage_in_bytes": "600\n"},
        **{"memory.stat": "inactive_file 1\ntotal_inactive_file 100\ntotal_active_file 20\n"},
    )
    groups = memory_groups(GroupMembership(CGROUP, SPLIT, tmp_path))
    assert [group.available_bytes() for group in groups] == [520]


def test_a_version_1_group_without_a_limit_binds_nothing(tmp_path: Path) -> None:
    unlimited = "9223372036854771712\n"
    write(tmp_path / "sys/fs/cgroup/memory", **{"memory.limit_in_bytes": unlimited})
    groups = memory_groups(GroupMembership(CGROUP, SPLIT, tmp_path))
    assert [group.available_bytes() for group in groups] == [None]


def test_a_container_that_sees_its_group_as_the_root_is_bound_by_it(tmp_path: Path) -> None:
    write(
        tmp_path / "sys/fs/cgroup",
        **{"memory.max": "1000\n", "memory.current": "1200\n", "memory.stat": ""},
    )
    groups = memory_groups(GroupMembership("0::/docker/abc\n", UNIFIED, tmp_path))
    assert [group.available_bytes() for group in groups] == [0]


ODD = "\n\nodd\n1:2\n: :\n0:\n0::relative\n9:cpu\n"


def test_lines_that_are_not_understood_hide_no_group(tmp_path: Path) -> None:
    top = write(tmp_path / "sys/fs/cgroup", **{"a__cpu.max": "50000 100000\n"})
    odd_mounts = "1 2\n- cgroup2\n1 2 3 / relative rw - cgroup2 x rw\n30 23 0:26 / /sys\n - - -\n"
    inside = GroupMembership(ODD + "0::/a\n" + ODD, odd_mounts + UNIFIED + odd_mounts, tmp_path)
    assert quota(inside) == Quota(0.5, top / "a")


def test_a_mount_whose_path_is_no_text_hides_no_group(tmp_path: Path) -> None:
    mount = b"99 23 0:26 / /media/caf\xe9 rw - ext4 /dev/sdb rw\n"
    (tmp_path / "cgroup").write_bytes(b"0::/a\xe9\n")
    (tmp_path / "mountinfo").write_bytes(mount + UNIFIED.encode())
    own = GroupMembership(
        control_groups._read_paths(tmp_path / "cgroup"),
        control_groups._read_paths(tmp_path / "mountinfo"),
        tmp_path,
    )
    assert [version for version, _ in own.groups("cpu")] == [2, 2]


@pytest.mark.parametrize("how", SPOILT)
def test_a_group_that_does_not_tell_leaves_those_above_it(tmp_path: Path, how: str) -> None:
    files = {"memory.max": "5000\n", "memory.current": "1000\n", "memory.stat": "anon 1\n"}
    top = write(tmp_path / "sys/fs/cgroup/a", **files)
    inner = write(top / "b", **files, **{"cpu.max": "1 1\n"})
    write(top, **{"cpu.max": "50000 100000\n"})
    for name in ("memory.max", "cpu.max"):
        spoil(inner / name, how)
    inside = GroupMembership("0::/a/b\n", UNIFIED, tmp_path)
    assert quota(inside) == Quota(0.5, top)
    told = [group.available_bytes() for group in memory_groups(inside)]
    assert [available for available in told if available is not None] == [4000]


@pytest.mark.parametrize(
    ("limit", "usage", "stat", "available"),
    [
        ("5000", "1000", "inactive_file 300\nodd\nodd line of words\nfile -1\n", 4300),
        ("5000", "1000", "inactive_file 9000\n", 5000),
        ("5000", "9000", "", 0),
        ("-1", "1000", "", None),
        ("many", "1000", "", None),
        ("5000", "", "", None),
    ],
)
def test_memory_is_told_as_far_as_it_can_be(
    tmp_path: Path, limit: str, usage: str, stat: str, available: int | None
) -> None:
    files = {"memory.max": limit, "memory.current": usage, "memory.stat": stat}
    write(tmp_path / "sys/fs/cgroup/a", **files)
    (group, *_) = memory_groups(GroupMembership("0::/a\n", UNIFIED, tmp_path))
    assert group.available_bytes() == available
