"""When a job may start, as SQL over the jobs table: its time has come, or its worker's lease ran out."""

DUE = "(jobs.status = 'queued' AND jobs.run_after <= now() OR jobs.status = 'running' AND jobs.lease_until < now())"
