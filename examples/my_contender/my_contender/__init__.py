"""My own contender: what `entryPoint` names in the manifest."""
