-- Under which priority it waited for an engine in the process; NULL where it asked none, and where nobody noted it.
ALTER TABLE request ADD COLUMN priority TEXT;
