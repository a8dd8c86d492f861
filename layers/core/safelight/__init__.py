"""Safelight: client galleries for photographers on S3-compatible storage."""

__version__ = "0.1.0"
