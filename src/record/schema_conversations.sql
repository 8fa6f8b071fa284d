-- What conversations rose to, under keyed hashes: neither a restart nor a full memory forgets.
CREATE TABLE conversation (
  id    BLOB PRIMARY KEY,
  class TEXT NOT NULL,
  since TEXT NOT NULL,
  until TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX conversation_until ON conversation (until);
