-- Note a wrong password; what is too old to count is forgotten.
WITH forgotten AS (
    DELETE FROM failed_login WHERE time < now() - make_interval(secs => %(window)b)
)
INSERT INTO failed_login (address, username) VALUES (%(address)b, %(username)b)
