-- Folded text as models::search::fold makes it now: these letters were kept before.
UPDATE institutions SET name_key = replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(name_key, 'ł', 'l'), 'ø', 'o'), 'đ', 'd'), 'ð', 'd'), 'æ', 'ae'), 'œ', 'oe'), 'ß', 'ss'), 'ı', 'i'), 'þ', 'th'), 'ħ', 'h');
