"""Secrets: `passwords` (bcrypt), `tokens` (PyJWT and refresh tokens), `grants` (a visitor's unlock cookie), `subkeys`.

Modules of their own so that a function imports only the one it needs at cold start.
"""
