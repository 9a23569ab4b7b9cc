"""Where secrets of steps are kept: Vault or OpenBao, a namespace of a cluster, an encrypted file.

Only agents read them; each value lies in the corner of its project (`animus.domain.secrets`).
"""
