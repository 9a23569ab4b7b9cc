"""What a step says about itself while it runs: artifacts, metrics, messages."""
