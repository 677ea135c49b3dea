"""For services other than the issuer: verify access tokens and follow revocations."""
