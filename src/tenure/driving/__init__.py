"""What runs flows: against a blocking store or an asyncio one, and the upkeep between."""
