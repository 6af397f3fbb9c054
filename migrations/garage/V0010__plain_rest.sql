-- What the server took in the last pass, as JSON; null if it was everything.
ALTER TABLE sync ADD COLUMN scope TEXT;
