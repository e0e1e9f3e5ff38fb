-- The sets whose programs are all among those offered; versions are compared by the caller.
SELECT id, versions FROM requirement WHERE programs <@ %(programs)b::text[]
