"""The runner of internal jobs: every upkeep process has one, whether it leads or not."""
