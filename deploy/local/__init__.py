"""A whole local platform: servers, container engine, images, accounts, the registered cluster."""
