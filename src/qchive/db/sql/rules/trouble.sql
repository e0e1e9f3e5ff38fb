-- Why a rule makes nothing just now.
UPDATE rule SET problem = %(problem)b WHERE id = %(id)b AND problem IS DISTINCT FROM %(problem)b::text
