"""What people declare: manifests as pydantic models, and the integer ground compiled from them."""
