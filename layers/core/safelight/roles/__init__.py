"""Database roles: `privileges` declares what each may do, `install` makes them and grants it."""
