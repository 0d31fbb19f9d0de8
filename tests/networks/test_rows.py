"""rdae.rows: bands cover all rows once, and work on neighbours does not see where they were cut."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rdae import rows


@given(height=st.integers(1, 300), row_bytes=st.integers(1, 1 << 24))
def test_bands_cover_all_rows_once(height: int, row_bytes: int) -> None:
    cut = list(rows.bands(height, row_bytes, torch.device("cpu")))
    assert [top for top, _ in cut] == [0, *(bottom for _, bottom in cut[:-1])]
    assert cut[-1][1] == height
    for top, bottom in cut[:-1]:
        assert (bottom - top) % 2 == 0
        assert (bottom - top) * row_bytes <= rows._BYTES["cpu"] + rows._LEAST * row_bytes


def blur(x: Tensor, above: bool, below: bool) -> Tensor:
    """A row, four times the one above and nine times the one below, where ends count as a row of sevens."""
    seven = torch.full_like(x[:1], 7)
    x = torch.cat([*([] if above else [seven]), x, *([] if below else [seven])])
    return x[1:-1] + 4 * x[:-2] + 9 * x[2:]


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_the_cut_into_bands_changes_nothing(lengths: list[int]) -> None:
    whole = torch.arange(3 * sum(lengths)).view(-1, 3) ** 2
    expected = blur(blur(whole, above=False, below=False), above=False, below=False)
    stream = rows.with_neighbours(iter(whole.split(lengths)), blur, dim=0)
    stream = rows.with_neighbours(stream, blur, dim=0)
    found = list(stream)
    assert [len(band) for band in found] == lengths
    assert torch.equal(torch.cat(found), expected)


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=8), width=st.integers(1, 40))
def test_work_in_parts_across_changes_nothing(lengths: list[int], width: int) -> None:
    def blur_both(x: Tensor, above: bool, below: bool) -> Tensor:
        return blur(x, above, below) + 3 * torch.nn.functional.pad(blur(x, above, below), (1, 1))[:, :-2]

    whole = torch.arange(width * sum(lengths)).view(-1, width) ** 2
    expected = blur_both(whole, above=False, below=False)
    share = rows._BYTES["cpu"] // 9  # so that parts are as short as they may be
    stream = rows.with_neighbours(
        iter(whole.split(lengths)), blur_both, dim=0, across=1, position_bytes=share
    )
    assert torch.equal(torch.cat(list(stream)), expected)


@given(height=st.integers(1, 5), width=st.integers(1, 40), factor=st.integers(1, 3))
def test_what_is_made_in_parts_is_what_is_made_at_once(height: int, width: int, factor: int) -> None:
    x = (
        torch.arange(2 * height * width)
        .view(1, 2, height, width)
        .contiguous(memory_format=torch.channels_last)
    )
    sizes = []

    def work(part: Tensor) -> Tensor:
        sizes.append(part.shape[3])
        return (part.repeat_interleave(factor, dim=3) * 7).contiguous(memory_format=torch.channels_last)

    found = rows.in_parts(work, x, 3, rows._BYTES["cpu"] // 9)
    assert torch.equal(found, work(x))
    assert max(sizes[:-1]) <= rows._LEAST
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_no_more_is_read_than_a_row_needs() -> None:
    given_out = []

    def source() -> rows.Stream:
        for i in range(5):
            given_out.append(i)
            yield torch.full((2, 1), i)

    stream = rows.with_neighbours(source(), blur, dim=0)
    next(stream)
    assert given_out == [0, 1]
    assert len(list(stream)) == 4
    with pytest.raises(StopIteration):
        next(stream)
