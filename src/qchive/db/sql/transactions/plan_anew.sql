-- For the rest of this transaction, plan statements for the values at hand: filters that people compose differ too much
-- in what they leave over for one plan to serve all.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_seqscan', 'on', true)
