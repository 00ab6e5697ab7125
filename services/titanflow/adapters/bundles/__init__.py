"""Bundles: signed archives of ONNX graphs, verified before anything in them is parsed."""
