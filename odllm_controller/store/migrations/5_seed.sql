-- What another store told of the seed from which a trial's token ids were drawn.
ALTER TABLE imported ADD COLUMN seed BIGINT;
