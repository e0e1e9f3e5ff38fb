-- What is printed of an attempt, behind what is there.
INSERT INTO blob (record_id, attempt_id, type, name, compression, data)
SELECT
    a.record_id, a.id, 'stdout',
    to_char(
        (SELECT count(*) FROM blob b WHERE b.record_id = a.record_id AND b.attempt_id = a.id AND b.type = 'stdout'),
        'FM000000'
    ),
    'zstd', %(data)b
FROM attempt a
WHERE a.record_id = %(id)b AND a.attempt_no = %(attempt_no)b::integer
