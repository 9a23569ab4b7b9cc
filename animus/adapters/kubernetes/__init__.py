"""The Kubernetes executor: a Job for each attempt, in namespaces that the agent was given.

The only place that knows the Kubernetes client. Which objects there are, and what each container
is given, is said by pure functions (`manifests`); what became of them, by others (`sightings`,
`reasons`).
"""
