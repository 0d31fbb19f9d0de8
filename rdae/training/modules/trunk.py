"""The trunk of the context model: what turns a step's entry into the features that its heads read."""

from __future__ import annotations

from torch import Tensor, nn

from rdae.networks.architecture import Architecture
from rdae.networks.layers import trunk_layers
from rdae.training.modules.layers import RelaxedLayer, added


class Trunk(nn.Module):
    """Pairs of a depthwise and a 1x1 layer: two in sequence, and deeper ones that add to what came before."""

    def __init__(self, architecture: Architecture, number: int) -> None:
        """Start at random weights; number: of the trunk."""
        super().__init__()
        pairs = [tuple(map(RelaxedLayer, pair)) for pair in trunk_layers(architecture, number)]
        (self.spread, self.mix), (self.spread_more, self.mix_more) = pairs[:2]
        self.deeper_spread = nn.ModuleList(spread for spread, _ in pairs[2:])
        self.deeper_mix = nn.ModuleList(mix for _, mix in pairs[2:])
        for _, mix in pairs[2:]:
            nn.init.zeros_(mix.weight)  # changes nothing at first, in a model that is grown

    def forward(self, a: Tensor) -> Tensor:
        """(B, context_width, h, w) -> the same shape."""
        a = self.mix(self.spread(a))
        a = self.mix_more(self.spread_more(a))
        for spread, mix in zip(self.deeper_spread, self.deeper_mix, strict=True):
            a = added(a, mix(spread(a)))
        return a
