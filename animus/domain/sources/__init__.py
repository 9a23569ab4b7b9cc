"""Source as content: the verifier of source packs (docs/source-pack.md). Pure, without git."""
