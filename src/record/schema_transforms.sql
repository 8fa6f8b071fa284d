-- What was done to a body before it left: a JSON array, one object an attempt; NULL where nothing had to be done.
ALTER TABLE request ADD COLUMN transforms TEXT;
