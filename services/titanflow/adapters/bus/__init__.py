"""The bus: facts travel on NATS JetStream. The only package that may import the NATS client.

`streams` and `permissions` declare, `client` speaks, `reading` listens, `reference` draws the page.
"""
