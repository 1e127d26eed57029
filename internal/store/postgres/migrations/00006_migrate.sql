-- +goose Up

-- What `carrier store migrate` notes of the database. While it is being filled, and once all of it has gone elsewhere, the
-- engine adds a constraint to commits that nothing meets: no node can commit anything, however long it stood still.
ALTER TABLE meta
    ADD COLUMN clock       timestamptz,                    -- Nothing that was carried here happened after this.
    ADD COLUMN filled_from text,                           -- The store that it was filled from, until a node serves from it.
    ADD COLUMN filling     boolean NOT NULL DEFAULT false, -- It is not filled to the end.
    ADD COLUMN moved_to    text,                           -- Where all of it has gone.
    ADD CHECK (NOT filling OR filled_from IS NOT NULL);
