"""Training: from bundled data to an ONNX bundle. Needs the extra [train]; serving does not."""
