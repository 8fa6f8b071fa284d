-- What a policy set that is only tried says of a request.
ALTER TABLE request ADD COLUMN would_have TEXT;
ALTER TABLE request ADD COLUMN differs INTEGER;
ALTER TABLE request ADD COLUMN widens INTEGER;

-- Few rows have one, and a report wants all of them.
CREATE INDEX request_tried ON request (at) WHERE would_have IS NOT NULL;
