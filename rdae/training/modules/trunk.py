"""The trunk of the context model: what turns a step's entry into the features that its heads read."""

from __future__ import annotations

from torch import Tensor, nn

from rdae.networks.architecture import Architecture
from rdae.training.modules.layers import HIDDEN_MAX, LayerFactory, LayerSpec, added


class Trunk(nn.Module):
    """Pairs of a depthwise and a 1x1 layer: two in sequence, and deeper ones that add to what came before."""

    def __init__(self, architecture: Architecture, layer: LayerFactory, name: str) -> None:
        """Wire the pairs out of layers made by `layer`, whose names begin with `name`."""
        super().__init__()
        width = architecture.context_width

        def made(part: str, *, kernel: int = 0, low: int = 0) -> nn.Module:
            return layer(
                LayerSpec(
                    name=f"{name}.{part}", channels_in=width, channels_out=width, kernel=kernel, low=low
                )
            )

        self.spread, self.mix = made("spread", kernel=3), made("mix")
        self.spread_more, self.mix_more = made("spread_more", kernel=3), made("mix_more")
        deeper = range(architecture.context_deeper)
        self.deeper_spread = nn.ModuleList(made(f"deeper_spread.{i}", kernel=3) for i in deeper)
        self.deeper_mix = nn.ModuleList(made(f"deeper_mix.{i}", low=-HIDDEN_MAX) for i in deeper)
        for mix in self.deeper_mix:
            assert isinstance(mix.weight, Tensor)
            nn.init.zeros_(mix.weight)  # changes nothing at first, in a model that is grown

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Return all pairs; from the third on they add to their input."""
        first = [(self.spread, self.mix), (self.spread_more, self.mix_more)]
        return first + list(zip(self.deeper_spread, self.deeper_mix, strict=True))

    @property
    def reach(self) -> int:
        """Rows and columns that the depthwise convolutions look to each side."""
        return len(self.pairs())

    def forward(self, a: Tensor) -> Tensor:
        """(B, context_width, h, w) -> the same shape."""
        a = self.mix(self.spread(a))
        a = self.mix_more(self.spread_more(a))
        for spread, mix in self.pairs()[2:]:
            assert isinstance(mix.one, float)
            a = added(a, mix(spread(a)), mix.one)
        return a
