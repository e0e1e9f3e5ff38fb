-- Whether rules still have to look at what is complete already.
SELECT EXISTS (SELECT FROM rule WHERE enabled AND position IS NOT NULL)
