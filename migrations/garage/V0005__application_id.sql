-- "MVGa", by which a file is known to be a garage.
PRAGMA application_id = 1297500001;
