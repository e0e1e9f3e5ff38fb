-- Active managers that have not been heard of for `silence` seconds during which we could have heard them, locked; one
-- that is just talking to us is skipped. While no server process answers (for `gap` seconds), nobody is silent.
SELECT w.id, w.name
FROM worker w, setting s
WHERE s.key = 'presence'
    AND (s.value ->> 'seen')::timestamptz > now() - make_interval(secs => %(gap)b)
    AND (s.value ->> 'since')::timestamptz < now() - make_interval(secs => %(silence)b)
    AND w.active AND w.modified_on < now() - make_interval(secs => %(silence)b)
ORDER BY w.id
FOR UPDATE OF w SKIP LOCKED
