-- Begin a browser session, in the place of the one whose hash is given; those that are over are removed.
WITH over AS (
    DELETE FROM browser_session
    WHERE hash = %(replaced)b::bytea OR last_accessed < now() - make_interval(secs => %(lifetime)b)
)
INSERT INTO browser_session (public_id, account_id, hash, epoch, ip_address, user_agent)
VALUES (%(public_id)b, %(account_id)b, %(hash)b, %(epoch)b, %(ip_address)b, %(user_agent)b)
