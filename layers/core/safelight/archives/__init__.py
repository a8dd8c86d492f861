"""The ZIP format: archives whose every byte is known before the first object is read."""
