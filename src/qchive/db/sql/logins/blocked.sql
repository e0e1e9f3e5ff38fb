-- Seconds until the next try is let through: for this name from this address, or for the address whatever the name.
SELECT max(extract(epoch FROM oldest + make_interval(secs => %(window)b) - now())::float8)
FROM (
    (
        SELECT time AS oldest FROM failed_login
        WHERE address = %(address)b AND time > now() - make_interval(secs => %(window)b) AND username = %(username)b
        ORDER BY time DESC LIMIT 1 OFFSET %(most)b::bigint - 1
    )
    UNION ALL
    (
        SELECT time FROM failed_login
        WHERE address = %(address)b AND time > now() - make_interval(secs => %(window)b)
        ORDER BY time DESC LIMIT 1 OFFSET %(most_of_address)b::bigint - 1
    )
) AS t
