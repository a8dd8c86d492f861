"""Photos: uploads, what became of them, and their renditions."""
