"""The whole product on one machine without Docker: real Postgres, a real S3 store, the real handlers."""
