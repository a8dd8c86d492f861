"""Photographers: registration and invitations, sessions, API keys, the account itself."""
