"""Where upkeep listens for what rules have to do.

The statements that make records complete note them in the database, as long as any rule is enabled, and tell upkeep on
this channel with the COMMIT. The note cannot be missed; the notification only saves the time until somebody looks.
"""

CHANNEL = "rule"
