"""The layers of the prior's networks: what they compute, and exactly how (DESIGN, section 4).

A layer is a 1x1 or a depthwise convolution, followed by rounding to a fixed step and clamping.  The networks
(`hyperprior`, `context`) are wired once, over a factory of layers: `ExactLayer` here works on integers held in
float32 and is what files are coded with; training has a relaxed twin with gradients.  One integer stands for
1/unit of a real value.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

UNIT = 128
"""Integers per 1.0 of a hidden activation."""

HIDDEN_MAX = 1023
"""Largest hidden activation: they lie in 0..1023, that is 0..7.99."""

EXACT_BOUND = 2**24
"""Integers below this are exact in float32; every partial sum of a layer stays below it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """One layer: shape, the units of its input and output, and the range its output is clamped to.

    name: where its tensors are kept.
    channels_in, channels_out: of the convolution; equal if depthwise.
    kernel: 0 for a 1x1 convolution over all channels, 3 or 5 for a depthwise one of that size, zero-padded.
    unit_in, unit_out: integers per 1.0.
    max_in: largest magnitude of an input integer.
    low, high: the output integers' range, both ends included.
    """

    name: str
    channels_in: int
    channels_out: int
    kernel: int = 0
    unit_in: int = UNIT
    unit_out: int = UNIT
    max_in: int = HIDDEN_MAX
    low: int = 0
    high: int = HIDDEN_MAX

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(out, in) of a 1x1 convolution, (channels, 1, kernel, kernel) of a depthwise one."""
        if self.kernel:
            return (self.channels_out, 1, self.kernel, self.kernel)
        return (self.channels_out, self.channels_in)


LayerFactory = Callable[[LayerSpec], nn.Module]


def convolve(spec: LayerSpec, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a layer's convolution: (B, in, H, W) -> (B, out, H, W), without rounding or clamping."""
    if 0 in x.shape:
        # A cell of a 2x2 that a picture of one row or column of latents does not have; conv2d refuses it.
        return x.new_zeros(x.shape[0], spec.channels_out, *x.shape[2:])
    if spec.kernel:
        return F.conv2d(x, weight, bias, padding=spec.kernel // 2, groups=spec.channels_out)
    return F.conv2d(x, weight[:, :, None, None], bias)


def added(a: Tensor, more: Tensor, one: float) -> Tensor:
    """Add to hidden activations, and clamp to their range; one: what stands for 1.0."""
    return (a + more).clamp(0, HIDDEN_MAX * one / UNIT)


def exact_sums(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Convolve in no other way than by sums of products: (B, in, H, W) -> (B, out, H, W).

    weight: (out, in) of a 1x1 convolution, else (out, 1, k, k) of a depthwise one, zero-padded.
    On a CPU that is conv2d. The libraries behind it on a GPU may take Winograd's way or a Fourier transform, on which
    integers meet fractions, so there it is one matrix product, or k² additions of a shifted product.
    """
    if x.device.type == "cpu":
        if weight.dim() == 2:
            return F.conv2d(x, weight[:, :, None, None], bias)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))
    if weight.dim() == 2:
        return (x.permute(0, 2, 3, 1) @ weight.T + bias).permute(0, 3, 1, 2)
    height, width = x.shape[2:]
    kernel = weight.shape[-1]
    padded = F.pad(x, [kernel // 2] * 4)
    total = torch.zeros_like(x).add_(bias[:, None, None])
    for row in range(kernel):
        for column in range(kernel):
            shifted = padded[:, :, row : row + height, column : column + width]
            total.addcmul_(shifted, weight[:, 0, row, column, None, None])
    return total


class ExactLayer(nn.Module):
    """Integers to integers: clamp(floor((w·a + b + 2^(s-1)) · 2^-s)), each operation exact in float32.

    Invariant, checked when weights are loaded: per output channel, L1(w) * max_in + |b| + 2^(s-1) < 2^24.  Then every
    partial sum is an integer that float32 holds exactly, in whatever order and with or without fused multiply-add.
    """

    one = float(UNIT)
    """What stands for 1.0 of a hidden activation."""

    weight: Tensor
    bias: Tensor
    shift: Tensor

    def __init__(self, spec: LayerSpec) -> None:
        """Build the layer with zero weights; `load_state_dict` brings the real ones."""
        super().__init__()
        self.spec = spec
        self.register_buffer("weight", torch.zeros(spec.weight_shape, dtype=torch.float32))
        self.register_buffer("bias", torch.zeros(spec.channels_out, dtype=torch.float32))
        self.register_buffer("shift", torch.ones(spec.channels_out, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Integers in float32 (B, in, H, W) -> integers in float32 (B, out, H, W)."""
        (found,) = together([self], x)
        return found

    def rounding(self) -> Tensor:
        """2^(s-1) of each output channel, (out,): what makes floor round."""
        # Powers of two by shifting: exp2 of an integer is exact in practice, but nobody promises it.
        return (1 << (self.shift.long() - 1)).float()

    def settle(self, total: Tensor, half: Tensor) -> Tensor:
        """Divide sums, in place, that contain bias and half by 2^s; round down and clamp."""
        return total.mul_((0.5 / half)[:, None, None]).floor_().clamp_(self.spec.low, self.spec.high)

    def check(self) -> None:
        """Raise ValueError unless the tensors are integers that satisfy the invariant."""
        for label, tensor in (("weight", self.weight), ("bias", self.bias), ("shift", self.shift)):
            if not bool((tensor == tensor.round()).all()):
                raise ValueError(f"{self.spec.name}.{label} is not made of integers")
        if not bool(((self.shift >= 1) & (self.shift <= 23)).all()):
            raise ValueError(f"{self.spec.name}.shift is outside 1..23")
        l1 = self.weight.double().abs().flatten(1).sum(dim=1)
        reach = l1 * self.spec.max_in + self.bias.double().abs() + torch.exp2(self.shift.double() - 1)
        if not bool((reach < EXACT_BOUND).all()):
            raise ValueError(f"{self.spec.name}: a sum may reach {float(reach.max()):.0f}, beyond 2^24")


def together(layers: Sequence[ExactLayer], x: Tensor) -> list[Tensor]:
    """Return what each of these layers makes of x, by one convolution; several have to be 1x1."""
    halves = [layer.rounding() for layer in layers]
    # The rounding term joins the bias: one integer more in the same sum.
    weight = _joined([layer.weight for layer in layers])
    bias = _joined([layer.bias + half for layer, half in zip(layers, halves, strict=True)])
    # A cell of a 2x2 that a picture of one row or column of latents does not have; conv2d refuses it.
    empty = 0 in x.shape
    total = x.new_zeros(len(x), len(bias), *x.shape[2:]) if empty else exact_sums(weight, bias, x)
    parts = total.split([len(half) for half in halves], dim=1)
    return [layer.settle(part, half) for layer, part, half in zip(layers, parts, halves, strict=True)]


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def check_arithmetic(device: torch.device) -> None:
    """Raise ArithmeticError unless the float32 sums of this device and process are exact where they can be.

    Settings from outside of Python can make them inexact (oneDNN's ONEDNN_DEFAULT_FPMATH_MODE, for one), and then an
    encoder would write files that decode nowhere else.  Sums here come close to 2^24, with all bits in use.
    """
    channels, side = 64, 16
    a = torch.arange(channels * side * side).mul(37).remainder(1024).view(1, channels, side, side)
    w = torch.arange(channels * channels).mul(53).remainder(511).sub(255).view(channels, channels)
    d = torch.arange(channels * 9).mul(71).remainder(3601).sub(1800).view(channels, 1, 3, 3)
    with exact_float32():
        x, none = a.float().to(device), torch.zeros(channels, dtype=torch.float32, device=device)
        mixed = exact_sums(w.float().to(device), none, x)
        spread = exact_sums(d.float().to(device), none, x)
    expected = (w @ a.view(channels, -1)).view(1, channels, side, side)
    windows = F.pad(a, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)  # (1, C, 16, 16, 3, 3)
    if not torch.equal(mixed.cpu().long(), expected) or not torch.equal(
        spread.cpu().long(), (windows * d.view(1, channels, 1, 1, 3, 3)).sum(dim=(4, 5))
    ):
        raise ArithmeticError(
            f"float32 products on {device} are computed at lower precision (is a variable like "
            "ONEDNN_DEFAULT_FPMATH_MODE set?), so files could not be decoded elsewhere"
        )


_ieee_lock = threading.Lock()
_ieee_users = 0
_ieee_restore: list[Callable[[], None]] = []


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Switch off whatever would compute float32 products at lower precision (TF32, bf16), and restore it after.

    Autocast belongs to a thread, the other settings to the process: the first thread to come in changes them and the
    last one to leave restores them.
    """
    global _ieee_users  # noqa: PLW0603 - it counts the users of settings that are global themselves
    with _ieee_lock:
        if _ieee_users == 0:
            _ieee_restore.extend(_set_ieee())
        _ieee_users += 1
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        with _ieee_lock:
            _ieee_users -= 1
            if _ieee_users == 0:
                while _ieee_restore:
                    _ieee_restore.pop()()


def _set_ieee() -> list[Callable[[], None]]:
    """Ask all of torch for IEEE float32 products; return what puts each setting back."""
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):  # torch before 2.9
        matmul, tf32 = torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("highest")
        backends.cudnn.allow_tf32 = False

        def restore_old() -> None:
            torch.set_float32_matmul_precision(matmul)
            backends.cudnn.allow_tf32 = tf32

        return [restore_old]
    # From 2.9 on asking by the old names is an error once a program has used the new ones.
    restore: list[Callable[[], None]] = []
    for switch in (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv):
        restore.append(functools.partial(setattr, switch, "fp32_precision", switch.fp32_precision))
        switch.fp32_precision = "ieee"
    return restore
