"""How many processors there are: never more than the process may run on, nor than its container's quota is worth."""

import os
from pathlib import Path

import click
import pytest

from rdae.cli import main as cli_main
from rdae.networks import weights
from rdae.processors import available_processors


def system(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """What available_processors reads, below a folder of our own."""
    for name, text in {
        "proc/self/cgroup": cgroup,
        **{f"sys/fs/cgroup/{k}": v for k, v in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)), raising=False)


def test_without_a_quota_it_is_the_affinity(tmp_path: Path) -> None:
    assert available_processors(tmp_path) == 8
    assert available_processors(system(tmp_path, "0::/\n", {"cpu.max": "max 100000\n"})) == 8


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("5000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("", 8),
        ("nonsense", 8),
        ("1 0", 8),
        ("0 100000", 8),
    ],
)
def test_a_quota_of_version_2_counts_rounded_up(tmp_path: Path, text: str, count: int) -> None:
    assert available_processors(system(tmp_path, "0::/\n", {"cpu.max": text})) == count


def test_the_least_quota_of_a_group_and_those_above_it_counts(tmp_path: Path) -> None:
    files = {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "500000 100000"}
    assert available_processors(system(tmp_path, "0::/a/b\n", files)) == 3


def test_a_path_of_the_host_leaves_the_quota_of_the_mount(tmp_path: Path) -> None:
    assert available_processors(system(tmp_path, "0::/docker/123\n", {"cpu.max": "400000 100000"})) == 4
    assert available_processors(system(tmp_path, "0::/../../etc\n", {})) == 4


@pytest.mark.parametrize(("quota", "count"), [("300000\n", 3), ("-1\n", 8), ("50000\n", 1)])
def test_a_quota_of_version_1_counts(tmp_path: Path, quota: str, count: int) -> None:
    cgroup = "5:memory:/x\n4:cpu,cpuacct:/x\n0::/x\n"
    files = {"cpu/x/cpu.cfs_quota_us": quota, "cpu/x/cpu.cfs_period_us": "100000\n"}
    assert available_processors(system(tmp_path, cgroup, files)) == count


def test_where_there_is_no_affinity_all_of_the_machine_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert available_processors(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_processors(tmp_path) == 1


def test_one_process_for_each_and_the_default_of_threads_are_as_many_as_the_quota_is_worth(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = system(tmp_path, "0::/\n", {"cpu.max": "300000 100000\n"})
    monkeypatch.setattr(available_processors, "__defaults__", (root,))
    monkeypatch.delenv("RDAE_THREADS", raising=False)
    command = cli_main.main.get_command(click.Context(cli_main.main), "compress")
    assert command is not None
    with command.make_context("compress", ["a.png", "-j", "0"]) as context:
        assert context.params["processes"] == 3
    assert weights.load(tiny_path).source.threads == 3
