-- Which ledger this is: part of the first entry's predecessor and of everything signed.
CREATE TABLE ledger (
  id      TEXT NOT NULL,
  created TEXT NOT NULL
) STRICT;

CREATE TABLE entry (
  seq         INTEGER PRIMARY KEY,
  kind        TEXT NOT NULL,
  at          TEXT NOT NULL,
  request     TEXT,
  attempt     INTEGER,
  destination TEXT,
  origin      TEXT,
  boundary    TEXT NOT NULL,
  class       TEXT,
  basis       TEXT,
  transforms  TEXT,
  body        BLOB,
  bytes       INTEGER,
  policy      TEXT,
  audit       TEXT,
  lost        INTEGER,
  prev        BLOB NOT NULL,
  hash        BLOB NOT NULL
) STRICT;

-- The last of each hour; all of them go to the operator's file.
CREATE TABLE checkpoint (
  hour      TEXT PRIMARY KEY,
  entries   INTEGER NOT NULL,
  statement TEXT NOT NULL
) STRICT;

-- How much of the beginning was removed for age: one row, which covers all that came before it.
CREATE TABLE pruned (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  through   INTEGER NOT NULL,
  statement TEXT NOT NULL
) STRICT;

-- Against mistakes. Whoever can write the file can also drop these; the chain and the signatures are for them.
CREATE TRIGGER entry_insert BEFORE INSERT ON entry
WHEN new.seq <> coalesce((SELECT max(seq) FROM entry), 0) + 1 BEGIN
  SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN
  SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER entry_delete BEFORE DELETE ON entry
WHEN old.seq > coalesce((SELECT through FROM pruned), 0) BEGIN
  SELECT RAISE(ABORT, 'the ledger is append-only');
END;
