-- What another store told of the context that a model was made for, and of what goes beyond it.
ALTER TABLE imported ADD COLUMN model_context_tokens BIGINT;
ALTER TABLE imported ADD COLUMN context_reason VARCHAR;
ALTER TABLE imported ADD COLUMN quality_context_reason VARCHAR;
