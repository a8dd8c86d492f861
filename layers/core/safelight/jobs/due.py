"""Which jobs may start, as SQL over the jobs table: their time has come, or their worker's lease ran out.

Workers serve owners in turn: first the owner with the fewest running jobs, then the one that was served longest ago,
then the one whose job is the oldest. So an account with a long queue delays another account by one job of each worker.
"""

SOME = """
    SELECT due.id, kinds.kind FROM unnest(cast(:kinds AS text[])) AS kinds (kind) CROSS JOIN LATERAL (
        (SELECT id, run_after FROM jobs
         WHERE kind = kinds.kind AND status = 'queued' AND run_after <= now() LIMIT :most)
        UNION ALL
        (SELECT id, run_after FROM jobs
         WHERE kind = kinds.kind AND status = 'running' AND lease_until < now() LIMIT :most)
        LIMIT :most
    ) AS due ORDER BY due.run_after
"""
"""(id, kind) of at most `most` due jobs of each of `kinds`. Any of them: a wake-up names a job and claims the next."""

# The recursion visits the oldest job of each owner by the index (kind, owner_id, run_after): its cost grows with the
# number of owners who wait and not with the number of jobs.
OWNERS = """
    WITH RECURSIVE waiting (owner_id, run_after) AS (
        (SELECT owner_id, run_after FROM jobs
         WHERE kind = :kind AND status = 'queued' ORDER BY owner_id, run_after LIMIT 1)
        UNION ALL
        SELECT following.owner_id, following.run_after FROM waiting CROSS JOIN LATERAL (
            SELECT owner_id, run_after FROM jobs
            WHERE kind = :kind AND status = 'queued' AND owner_id > waiting.owner_id
            ORDER BY owner_id, run_after LIMIT 1
        ) AS following
    ), due (owner_id, run_after) AS (
        SELECT owner_id, run_after FROM waiting WHERE run_after <= now()
        UNION ALL
        SELECT owner_id, run_after FROM jobs WHERE kind = :kind AND status = 'running' AND lease_until < now()
    ), oldest (owner_id, run_after) AS (
        SELECT owner_id, min(run_after) FROM due GROUP BY owner_id
    ), running (owner_id, jobs) AS (
        SELECT owner_id, count(*) FROM jobs
        WHERE kind = :kind AND status = 'running' AND lease_until >= now() GROUP BY owner_id
    )
    SELECT oldest.owner_id FROM oldest LEFT JOIN running USING (owner_id) CROSS JOIN LATERAL (
        SELECT max(claimed_at) AS claimed_at FROM jobs
        WHERE kind = :kind AND owner_id = oldest.owner_id AND claimed_at IS NOT NULL
    ) AS served
    ORDER BY coalesce(running.jobs, 0), served.claimed_at NULLS FIRST, oldest.run_after
    LIMIT 256
"""
"""Owners of due jobs of `kind`, in the order in which they are served.

The limit is above the number of workers of a kind. Each of them has at most one job locked, so one of so many owners
has a job that is free.
"""
