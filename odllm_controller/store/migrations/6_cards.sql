-- What each model file says of itself, and what must be known to read its figures rightly. Of files
-- of before nothing of it is known.
ALTER TABLE models ADD COLUMN source VARCHAR DEFAULT '';      -- reference, file, shape, hub, package
ALTER TABLE models ADD COLUMN title VARCHAR DEFAULT '';       -- this and the next five by the header
ALTER TABLE models ADD COLUMN license VARCHAR DEFAULT '';
ALTER TABLE models ADD COLUMN tokenizer VARCHAR DEFAULT '';
ALTER TABLE models ADD COLUMN vocabulary_tokens BIGINT;
ALTER TABLE models ADD COLUMN has_chat_template BOOLEAN;
ALTER TABLE models ADD COLUMN imatrix VARCHAR DEFAULT '';     -- the text that its matrix was made of
ALTER TABLE models ADD COLUMN mix JSON DEFAULT '[]';          -- weights of each type
ALTER TABLE models ADD COLUMN remarks JSON DEFAULT '[]';      -- sentences

-- What another store told of a model's remarks.
ALTER TABLE imported ADD COLUMN model_remarks VARCHAR;
