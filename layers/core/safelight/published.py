"""Values that are not secret: those that are published, and those that are too short."""

MIN_SECRET = 32
"""Characters of a random secret."""

# In lower case.
_PUBLISHED = frozenset({
    "", "change-me", "changeme", "secret", "local",
    # of releases of docker-compose.yml before there was `make env`
    "safelight", "safelight-local", "only-for-this-machine-never-for-a-server",
    # of the images that Postgres and object stores come in, and of their documentation
    "postgres", "password", "mysecretpassword", "example", "minio", "minioadmin", "minio123", "rustfsadmin", "any",
})  # fmt: skip


def is_published(value: str) -> bool:
    """Whether this value stands in a release of this product, or in the documentation of what it runs on."""
    return value.strip().lower() in _PUBLISHED
