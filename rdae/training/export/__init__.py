"""From trained modules to what the codec runs: weights, integer tables and graphs.  The only door out of training."""

from __future__ import annotations

from pathlib import Path

from rdae.training import missing


def export(
    run: Path,
    path: Path,
    *,
    data: tuple[str, ...] = (),
    mean: tuple[Path, float] | None = None,
    force: bool = False,
) -> str:
    """Freeze a run's last checkpoint: `rdae.training.export.freeze.export`; MissingExtraError without PyTorch."""
    try:
        from rdae.training.export import freeze
    except ModuleNotFoundError as error:
        raise missing(error, "rdae export") from error
    return freeze.export(run, path, data=data, mean=mean, force=force)


def graphs_of(weights: Path) -> int:
    """Make the graphs of a weights file: `rdae.training.export.graphs.add`; MissingExtraError without onnx."""
    try:
        from rdae.training.export import graphs
    except ModuleNotFoundError as error:
        raise missing(error, "rdae export") from error
    return graphs.add(weights)
