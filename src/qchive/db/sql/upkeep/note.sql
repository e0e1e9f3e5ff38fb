-- Note that a round of a loop has succeeded, and how long it took.
INSERT INTO upkeep_loop (name, succeeded_on, seconds) VALUES (%(name)b, now(), %(seconds)b)
ON CONFLICT (name) DO UPDATE SET succeeded_on = excluded.succeeded_on, seconds = excluded.seconds
