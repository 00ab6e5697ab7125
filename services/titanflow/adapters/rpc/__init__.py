"""gRPC: how questions are asked and answered; the only place that imports the library."""
