"""How the SDK speaks to a gateway: operations, their answers, retries, streams."""
