"""The registry: manifests from YAML, validated, with every mistake at its line."""
