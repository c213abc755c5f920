"""Other people's networks: what stands where in them, which of their layers follow the data, who froze what.

The ground on which the core stands, optimizers included; nothing here knows splits or a plan.
"""
