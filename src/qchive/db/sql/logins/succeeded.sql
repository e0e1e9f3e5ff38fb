-- A right password forgives the wrong ones for this name; they go on counting for the address.
UPDATE failed_login SET username = NULL WHERE address = %(address)b AND username = %(username)b
