-- Remove errors from before a time.
DELETE FROM server_error WHERE error_date < %(before)b::timestamptz
