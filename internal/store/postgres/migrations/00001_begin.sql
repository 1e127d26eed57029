-- +goose Up

-- Names compare byte by byte everywhere (COLLATE "C"): it is what the engine sorts locks by, and the fastest.
-- Numbers of events (seq) and of acceptance (ord) come from one sequence, taken in a transaction after the waybills'
-- rows are locked, so that both rise within a waybill. It must not cache: a session's block would go back in time.
CREATE SEQUENCE numbers AS bigint CACHE 1;

-- What is known of the database as a whole.
CREATE TABLE meta (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    instance uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO meta DEFAULT VALUES;

-- A waybill's row is its lock: whoever changes anything of a waybill, its events and pushes included, holds it.
CREATE TABLE waybills (
    delivery_id   text COLLATE "C" NOT NULL,
    waybill_id    text COLLATE "C" NOT NULL,
    slot          smallint NOT NULL CHECK (slot BETWEEN 0 AND 255),
    timeline      bytea NOT NULL,                  -- All that the state machine needs of its events, encoded by the engine.
    open          bigint[] NOT NULL,               -- The numbers of its pending pushes, in the order of sending.
    writer        text NOT NULL,                   -- The node that changed what is open last: another one's lanes are behind.
    tokens        bytea NOT NULL DEFAULT '',       -- Newest first, sealed where there are keys; empty: none.
    token_at      timestamptz,                     -- When the newest came.
    parked_at     timestamptz,                     -- Upstream refuses its Token since.
    frozen_at     timestamptz,                     -- An operator holds it since.
    frozen_by     text NOT NULL DEFAULT '',
    frozen_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (delivery_id, waybill_id),
    CHECK ((tokens = '') = (token_at IS NULL))
) WITH (fillfactor = 80);

-- An event, its verdict as first and as now, and its push. Partitioned by seq, which is time: the engine makes partitions
-- ahead, and retention drops whole ones.
CREATE TABLE events (
    seq           bigint NOT NULL CHECK (seq > 0),
    slot          smallint NOT NULL,
    delivery_id   text COLLATE "C" NOT NULL,
    waybill_id    text COLLATE "C" NOT NULL,
    source        text COLLATE "C" NOT NULL,
    id            text COLLATE "C" NOT NULL,
    action_type   integer NOT NULL,
    action_time   bigint NOT NULL,                 -- Unix seconds.
    msg           bytea NOT NULL,                  -- Its text, byte for byte: one of type text holds no zero byte.
    trace         text NOT NULL,
    expunged      boolean NOT NULL,
    received_at   timestamptz NOT NULL,

    -- As it was answered. Verdicts: 1 accepted, 2 held, 3 ignored, 5 rejected.
    first_verdict smallint NOT NULL CHECK (first_verdict IN (1, 2, 3, 5)),
    first_reason  smallint NOT NULL,
    first_late    boolean NOT NULL,
    first_gap     boolean NOT NULL,
    from_stage    smallint NOT NULL,
    allowed       integer[] NOT NULL,
    cause         bigint NOT NULL,

    -- As it stands in its waybill's timeline.
    verdict       smallint NOT NULL CHECK (verdict IN (1, 2, 3, 5)),
    reason        smallint NOT NULL,
    late          boolean NOT NULL,
    gap           boolean NOT NULL,
    override      boolean NOT NULL,
    held_until    timestamptz,
    ord           bigint NOT NULL CHECK (ord = 0 OR ord >= seq), -- 0 until it is accepted.

    -- Its push. Statuses: 0 no push, 1 pending, 2 delivered, 3 failed, 4 discarded.
    status        smallint NOT NULL CHECK (status BETWEEN 0 AND 4),
    push_reason   text NOT NULL,
    tries         integer NOT NULL,
    refusals      integer NOT NULL,
    used          bigint NOT NULL,                 -- Nanoseconds of the time that retries may take.
    next_at       timestamptz,
    opened_at     timestamptz,
    done_at       timestamptz,
    verified_at   timestamptz,
    token_until   timestamptz,                     -- It waits for a Token until then.
    replay        bigint NOT NULL,
    bulk          boolean NOT NULL,
    ends          integer NOT NULL,
    done_after    bigint NOT NULL,                 -- The newest replay there was when it ended.
    errcode       integer,                         -- Of the last attempt.
    attempts      json NOT NULL,

    PRIMARY KEY (seq),
    CHECK ((status = 0) = (verdict <> 1)),
    CHECK ((ord = 0) = (verdict <> 1)),
    CHECK ((held_until IS NOT NULL) = (verdict = 2)),
    CHECK ((done_at IS NOT NULL) = (status IN (2, 3, 4))),
    CHECK (token_until IS NULL OR status = 1),
    CHECK (verified_at IS NULL OR status = 2)
) PARTITION BY RANGE (seq);

CREATE INDEX events_open ON events (delivery_id, seq) INCLUDE (slot, waybill_id) WHERE status = 1;
CREATE INDEX events_ended ON events (status, delivery_id, seq) WHERE status IN (3, 4);
CREATE INDEX events_verdict ON events (verdict, seq) WHERE verdict <> 1;
CREATE INDEX events_held ON events (held_until) WHERE verdict = 2;
CREATE INDEX events_no_token ON events (token_until) WHERE token_until IS NOT NULL;

-- Which event came under an id, and a hash of what was in it: tells a duplicate from a conflict.
CREATE TABLE event_ids (
    source text COLLATE "C" NOT NULL,
    id     text COLLATE "C" NOT NULL,
    seq    bigint NOT NULL,
    hash   bytea NOT NULL,
    PRIMARY KEY (source, id)
);

-- One row a transaction that changed something. It tells a node whose connection broke inside COMMIT what became of it,
-- and holds what the transaction adds to counters: adding up later keeps transactions from waiting for each other.
CREATE TABLE commits (
    id     uuid PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    names  text[] NOT NULL,
    deltas bigint[] NOT NULL
);
CREATE INDEX commits_at ON commits (at);
CREATE TABLE counters (
    name text COLLATE "C" PRIMARY KEY,
    n    bigint NOT NULL
);

-- Numbers without gaps, in the order of commits: audit and replays. Few transactions take any.
CREATE TABLE serials (
    name text COLLATE "C" PRIMARY KEY,
    last bigint NOT NULL
);
INSERT INTO serials VALUES ('audit', 0), ('replays', 0);

CREATE TABLE accounts (
    delivery_id text COLLATE "C" PRIMARY KEY,
    version     bigint NOT NULL CHECK (version > 0), -- Counts the changes.
    state       jsonb NOT NULL
);

CREATE TABLE audit (
    number      bigint PRIMARY KEY,
    at          timestamptz NOT NULL,
    by          text NOT NULL,
    origin      text NOT NULL,
    action      text NOT NULL,
    reason      text NOT NULL,
    detail      text NOT NULL,
    delivery_id text COLLATE "C" NOT NULL,
    waybill_id  text COLLATE "C" NOT NULL,
    seq         bigint NOT NULL,
    replay      bigint NOT NULL
);

CREATE TABLE replays (
    id     bigint PRIMARY KEY,
    status smallint NOT NULL CHECK (status BETWEEN 1 AND 4), -- 1 running, 2 paused, 3 cancelled, 4 done.
    detail json NOT NULL                                     -- All of it, status included.
);

-- What dispatch systems are to be told of: ends, and waybills' differences, which have no event. A number may be filled
-- after a higher one; see the package comment for what is shown.
CREATE SEQUENCE notice_numbers AS bigint CACHE 1;
CREATE TABLE notices (
    number     bigint PRIMARY KEY,
    seq        bigint NOT NULL,
    nth        integer NOT NULL,
    at         timestamptz NOT NULL,
    status     smallint NOT NULL,
    tries      integer NOT NULL,
    errcode    integer NOT NULL,
    reason     text NOT NULL,
    replay     bigint NOT NULL,
    difference json,                               -- Null: it is an end.
    CHECK ((difference IS NULL) = (seq > 0))
);

-- The nodes that are alive. A node that was taken for dead comes back under another number, and owns nothing then.
CREATE TABLE nodes (
    number     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    leaving    boolean NOT NULL DEFAULT false, -- It takes nothing more.
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Who pushes what: a row a slot, and a row a duty that only one node does at a time. The owner is a node's number; 0:
-- nobody. The rows of slots are written once here, so that nodes lock rows and never insert any. epoch counts the owners.
CREATE TABLE leases (
    slot  smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 255),
    owner integer NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO leases (slot) SELECT generate_series(0, 255);
CREATE TABLE duties (
    name  text COLLATE "C" PRIMARY KEY,
    owner integer NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
