-- Make the parts of the audit for this month and the next two.
SELECT make_move_month((date_trunc('month', now()) + n * interval '1 month')::date) FROM generate_series(0, 2) AS t (n)
