-- Remove what was noted of requests before a time.
DELETE FROM access_log WHERE timestamp < %(before)b::timestamptz
