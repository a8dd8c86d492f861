"""Whether workers confine the processes that open files: reported by them (`watch`), read by /health and /metrics."""
