"""The log of a run for TensorBoard, beside metrics.jsonl and with the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rdae.errors import MissingExtraError
from rdae.quality import from_index

FOLDER = "tensorboard"

_PLACE = {"kind", "step", "pixels", "elapsed_s"}


class TensorBoardLog:
    """Event files in a run's folder."""

    def __init__(self, run: Path) -> None:
        """Find the writer; nothing is written yet.  MissingExtraError without the package tensorboard."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError(f"--tensorboard: {error}: pip install 'rdae[tensorboard]'") from error
        self._make: Any = SummaryWriter
        self._folder = run / FOLDER
        self._writer: Any = None

    def write(self, fields: dict[str, Any]) -> None:
        """Write the numbers of a line of the log; those of a validation as one curve for each quality."""
        if self._writer is None:
            # What a killed run wrote beyond its last checkpoint is hidden.
            self._writer = self._make(str(self._folder), purge_step=fields["step"])
        step, kind = fields["step"], fields["kind"]
        for name, value in fields.items():
            if name not in _PLACE and isinstance(value, (int, float)):
                self._writer.add_scalar(f"{kind}/{name}", value, step)
        for row in fields.get("rows", ()):
            for name in row.keys() - {"index"}:
                self._writer.add_scalar(
                    f"{kind}/quality {from_index(row['index']):g}/{name}", row[name], step
                )
        self._writer.flush()
