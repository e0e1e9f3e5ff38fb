-- Keep a running job this runner's until the transaction ends: nobody takes it over or removes it meanwhile.
SELECT id FROM job WHERE id = %(job_id)b AND runner_uuid = %(runner)b AND status = 'running' FOR KEY SHARE
