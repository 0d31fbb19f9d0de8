"""What a model computes, and nothing else: no file format, no picture file.

weights -> model -> transforms, prior, exact_synthesis, gradient -> runtime: ONNX Runtime's sessions on a model's graphs
"""
