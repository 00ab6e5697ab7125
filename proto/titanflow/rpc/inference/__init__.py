"""The Open Inference Protocol, version 2: the public interface to servers of models."""
