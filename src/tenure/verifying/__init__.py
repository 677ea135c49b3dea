"""For services that are not the issuer: checking access tokens, and hearing of revocations."""
