-- Note that the API answers now. After a silence longer than the gap (seconds) it counts as started anew.
INSERT INTO setting (key, value) VALUES ('presence', jsonb_build_object('since', now(), 'seen', now()))
ON CONFLICT (key) DO UPDATE SET value = jsonb_build_object(
    'since',
    CASE
        WHEN (setting.value ->> 'seen')::timestamptz < now() - make_interval(secs => %(gap)b) THEN to_jsonb(now())
        ELSE setting.value -> 'since'
    END,
    'seen', now()
)
