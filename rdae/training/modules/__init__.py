"""The networks as they are trained, layer by layer, in PyTorch."""
