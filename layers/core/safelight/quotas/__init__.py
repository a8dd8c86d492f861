"""How much an account may store, and how much it does: a counter that changes with the photos' rows."""
