"""Images by tag, resolved to digests on this machine. Nothing here runs or pulls one."""
