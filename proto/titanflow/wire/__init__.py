"""The wire: facts as protobuf messages, for the record and between pods."""
