"""Adapters: where data, manifests and other worlds enter."""
