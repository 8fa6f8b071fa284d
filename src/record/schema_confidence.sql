-- How sure the embedded model was of its answer; NULL where nobody measured.
ALTER TABLE request ADD COLUMN first_logprob REAL;
ALTER TABLE request ADD COLUMN first_entropy REAL;
ALTER TABLE request ADD COLUMN first_margin REAL;
ALTER TABLE request ADD COLUMN mean_logprob REAL;
ALTER TABLE request ADD COLUMN mean_entropy REAL;
