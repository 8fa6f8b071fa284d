CREATE TABLE request (
  seq             INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  at              TEXT NOT NULL,
  tenant          TEXT,
  key             TEXT,
  attributes      TEXT NOT NULL,
  dialect         TEXT NOT NULL,
  asked_model     TEXT,
  status          INTEGER NOT NULL,
  outcome         TEXT NOT NULL,
  reason          TEXT,
  class           TEXT,
  class_basis     TEXT,
  route           TEXT,
  served_by       TEXT,
  local           INTEGER,
  plan            TEXT NOT NULL,
  cache           TEXT NOT NULL,
  stream          INTEGER NOT NULL,
  input_tokens    INTEGER,
  output_tokens   INTEGER,
  cached_tokens   INTEGER,
  cost_uusd       INTEGER,
  usage_estimated INTEGER NOT NULL,
  est_gain        REAL,
  parse_ms        REAL,
  classify_ms     REAL,
  decide_ms       REAL,
  queue_ms        REAL,
  ttft_ms         REAL,
  total_ms        REAL NOT NULL,
  attempts        INTEGER NOT NULL,
  policy          TEXT,
  bytes_out       INTEGER NOT NULL
) STRICT;

CREATE INDEX request_at ON request (at);

-- Apart from the columns above, so that a report does not read past every decision.
CREATE TABLE decision (
  seq    INTEGER PRIMARY KEY,
  record TEXT NOT NULL
) STRICT;

CREATE TABLE text (
  seq    INTEGER PRIMARY KEY,
  prompt TEXT NOT NULL,
  answer TEXT NOT NULL
) STRICT;

CREATE TABLE gap (
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,
  at     TEXT NOT NULL,
  lost   INTEGER NOT NULL
) STRICT;

-- A trigger and not a foreign key: it also works for whoever deletes with another client.
CREATE TRIGGER request_delete AFTER DELETE ON request BEGIN
  DELETE FROM decision WHERE seq = old.seq;
  DELETE FROM text WHERE seq = old.seq;
END;
