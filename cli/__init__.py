"""`safelight`: galleries from the command line. A client of the HTTP API; it imports nothing of the product."""

__version__ = "0.1.0"
