"""The container images of Animus, built from Debian packages and wheels without a registry."""
