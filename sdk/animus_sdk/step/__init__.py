"""What runs beside a step in our own containers: fetch before it, latch until it may
start, collect after it.

None sees the user's code run, and the step sees neither their token nor their network. The
contract with the agent is in docs/sdk.md.
"""
