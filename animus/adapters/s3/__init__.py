"""The parts of the S3 adapter. `animus.adapters.object_store` puts them together."""
