-- A long operation goes no further; waits for the batch that runs just now.
UPDATE operation SET state = 'stopped' WHERE id = %(id)b AND state = 'running'
