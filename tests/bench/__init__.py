"""`make bench`: what Animus costs, beside a peer or the physical limit in the same run."""
