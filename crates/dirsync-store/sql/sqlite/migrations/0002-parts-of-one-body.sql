-- Parts of a body belong together by the number that the body reaches, no longer by the request that
-- they answer. A replace that is under way in parts is asked for again.
ALTER TABLE requestor ADD COLUMN filling INTEGER;
ALTER TABLE requestor RENAME COLUMN staging_answer TO staging_head;
UPDATE requestor SET staging_point = NULL, staging_view = NULL, staging_head = NULL, staging_digest = NULL;
