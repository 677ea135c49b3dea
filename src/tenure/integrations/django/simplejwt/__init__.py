"""Move over from djangorestframework-simplejwt by changed imports: its names, for tokens of either kind.

    from tenure.integrations.django.simplejwt.authentication import JWTAuthentication
    from tenure.integrations.django.simplejwt.serializers import TokenObtainPairSerializer
    from tenure.integrations.django.simplejwt.tokens import RefreshToken
    from tenure.integrations.django.simplejwt.views import TokenObtainPairView, TokenRefreshView

What logs in begins a session of tenure. What takes a token takes both kinds, until the last old one has expired.
`exchange.py` has the one step between them.
"""
