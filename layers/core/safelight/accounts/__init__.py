"""Photographers: registration, sessions, the account itself."""
