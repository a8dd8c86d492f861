"""The work behind the requests: a table in Postgres that is leased, fenced and retried."""
