"""Postgres: `engine` for SQLAlchemy, `driver` for the visitor's hot path."""
