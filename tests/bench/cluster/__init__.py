"""What a step on Kubernetes costs, beside a bare Job that does the same work, on a real node."""
