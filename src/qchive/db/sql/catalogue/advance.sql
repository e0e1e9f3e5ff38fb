-- Let sequences go on after the last number they gave.
SELECT setval(quote_ident(given.name)::regclass, given.last)
FROM unnest(%(names)b::text[], %(lasts)b::bigint[]) AS given (name, last)
