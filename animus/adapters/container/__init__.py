"""The container engine of one machine, podman or docker, spoken to by its command line."""
