"""The outbox: what happened, told in the order in which it was committed."""
