{
  "keyId": "example",
  "sha256": "ba7beca5838787e8cf3b029cecb9f5dfa1db9711b86c145f974f1ae6cab32097",
  "ed25519": "pvc00d1Ji9FEb3NkgUFQAOBfNmlT0q5DRljG+7Ncb5fDbcEk+zvvIMj7EbAPZxMlEQw0+Z2n677HQutHAWVQBw=="
}
