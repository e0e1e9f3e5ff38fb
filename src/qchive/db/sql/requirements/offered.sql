-- The sets whose programs are all among those offered; what was announced, and versions, are compared by the caller.
SELECT id, programs, versions FROM requirement WHERE programs <@ %(programs)b::text[]
