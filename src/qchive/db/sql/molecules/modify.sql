-- Replace what is changeable about a molecule: its name, comment and identifiers, all inside the document.
UPDATE molecule SET document = %(document)b, identifiers = %(identifiers)b::text::jsonb WHERE id = %(id)b
