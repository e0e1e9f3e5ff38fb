-- What became of the results a manager returned.
UPDATE worker SET
    successes = successes + %(successes)b, failures = failures + %(failures)b, rejected = rejected + %(rejected)b
WHERE id = %(id)b
