"""Policy rules in CEL, evaluated in a child process that can be killed."""
