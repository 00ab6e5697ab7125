"""Questions that services answer over gRPC; facts travel on the wire instead."""
