"""Run flows against a blocking or an asyncio store, and the upkeep of an instance."""
