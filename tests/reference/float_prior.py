"""The prior as a codec would have it that did not care: the same weights and wiring, in floating point.

Activations, means and scale indices are continuous and only what the coder is given is rounded, at the very end.  That
is what exact arithmetic is measured against (`exactness_cost.py`), and what `test_exactness.py` shows to differ from
one way of computing to the next, so that its other tests are known to be able to fail.

Its graphs are those of the exact prior, described by the same functions, with each rounding left out.
"""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto
from small_graphs import graph_of, stored

from rdae.networks import graphs, normaliser
from rdae.networks.architecture import Architecture
from rdae.networks.layers import CONTEXT_MAX
from rdae.networks.model import Model
from rdae.networks.prior import Prediction, Prior, Progress
from rdae.training.export.graphs import prior
from rdae.training.export.graphs.draft import Draft, Value

Floats = npt.NDArray[np.float64]


class FloatDraft(Draft):
    """A graph of the prior that does not round: where the exact one takes floor(v + 1/2), it goes on with v."""

    def op(self, kind: str, *inputs: Value, **attributes: Any) -> Value:
        if kind != "Floor":
            return super().op(kind, *inputs, **attributes)
        (value,) = inputs
        return super().op("Sub", value, super().op("CastLike", self.constant(0.5), value))

    def cast(self, value: Value, dtype: int) -> Value:
        return value if dtype in (TensorProto.INT32, TensorProto.UINT8) else super().cast(value, dtype)

    def output(self, name: str, value: Value, dtype: int = TensorProto.FLOAT) -> None:
        super().output(name, value, TensorProto.DOUBLE if dtype == TensorProto.INT32 else TensorProto.FLOAT)


def float_graphs(architecture: Architecture, tensors: Any) -> dict[str, bytes]:
    """The graphs of the prior, in floats: outputs are means, float64, in 1/64 step, and scale indices, float32."""
    made = {}
    for name in graphs.EXACT - {graphs.CHECK}:
        draft = FloatDraft(name, stored(tensors))
        if name == "hyper_synthesis":
            prior.hyper_synthesis(draft, architecture)
        else:
            prior.context(draft, architecture, int(name.removeprefix("context.")))
        made[name] = draft.finish()
    return made


class FloatPrior(Prior):
    """What `rdae.networks.prior.Prior` is to its users, in floats.

    In a file from here a mean is still an integer of 1/64 step, so that latents stay integers that can be compared.
    told: the hash of all means and scale indices that the coder was given; None: nobody asks for it.
    """

    def __init__(self, model: Model, *, watched: bool = False) -> None:
        exact, architecture = model.prior, model.architecture
        tensors = {name: model.tensors[name] for name in model.tensors if name.startswith("prior.")}
        patterns = graphs.names(architecture)
        opened = {
            name: graph_of(
                data,
                {key: tensors[key] for key in graphs.needed(patterns[name], tensors)},
                model.source.threads,
            )
            for name, data in float_graphs(architecture, tensors).items()
        }
        super().__init__(architecture, opened, exact.tables, exact.y_tables, exact.z_tables, exact.skip_below)
        self.told = hashlib.sha256() if watched else None

    def expect(self, progress: Progress, step: int) -> tuple[Floats, Floats]:
        """What `predict` is made of: means in 1/64 step and scale indices 0..63, not rounded, (N,) each."""
        height, width = progress.y64.shape[1:]
        row = progress.row
        groups = (4, -1, 1, 1)
        planes = np.zeros((1, 4, height, width), np.float32)
        for cell in range(4):
            planes[:, cell, cell // 2 :: 2, cell % 2 :: 2] = 128
        known = {"known": progress.known} if step else {}
        found = self._graphs[f"context.{step}"].run(
            features=progress.features,
            planes=planes,
            from_mean=self.tables.from_mean[row].reshape(groups).astype(np.float64),
            offset=self.tables.index_offset[row].reshape(groups).astype(np.float32),
            odd=np.array([0, 0, 0, 0, 0, 0, height % 2, width % 2], np.int64),
            **known,
        )
        means, scales = (self._spread(each, step, height, width) for each in found)
        return self.take(means, step), self.take(scales, step)

    def _spread(self, groups: npt.NDArray[Any], step: int, height: int, width: int) -> Floats:
        """Put what a graph says of each group's cell where it belongs in (latents, h, w)."""
        whole = np.zeros((self.architecture.latents, height, width))
        for group, slot in enumerate(self.slots(step)):
            target = whole[slot]
            target[...] = groups[group][:, : target.shape[1], : target.shape[2]]
        return whole

    def predict(self, progress: Progress, step: int) -> Prediction:
        means, scales = self.expect(progress, step)
        prediction = Prediction(step, np.rint(means).astype(np.int32), np.rint(scales).astype(np.uint8))
        if self.told is not None:
            self.told.update(prediction.means.tobytes() + prediction.scales.tobytes())
        return prediction

    def place(self, progress: Progress, prediction: Prediction, residuals: npt.NDArray[np.int32]) -> None:
        values = residuals.astype(np.float64) * normaliser.STEP_UNIT + prediction.means
        self.put(progress.y64, prediction.step, values.astype(np.int32))
        self.learn(progress, prediction.step, values)

    def learn(self, progress: Progress, step: int, values: Floats) -> None:
        """Let the next steps know ŷ·64 of a step's latents, not rounded, (N,)."""
        scale = self.tables.to_context[progress.row] * 0.5**normaliser.TABLE_SHIFT
        seen = values * self.take(np.broadcast_to(scale[:, None, None], progress.y64.shape), step)
        self.put(progress.known[0], step, seen.clip(-CONTEXT_MAX, CONTEXT_MAX).astype(np.float32))


def with_float_prior(model: Model, *, watched: bool = False) -> Model:
    """The same model with its prior in floats.  It writes files that are its own: they name the same weights."""
    return dataclasses.replace(model, prior=FloatPrior(model, watched=watched))
