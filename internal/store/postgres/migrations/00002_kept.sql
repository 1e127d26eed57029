-- +goose Up

-- What WeChat ordered, and what it was answered. The answer's texts are anybody's bytes.
CREATE TABLE orders (
    delivery_id  text COLLATE "C" NOT NULL,
    biz_id       text COLLATE "C" NOT NULL,
    order_id     text COLLATE "C" NOT NULL,
    waybill_id   text COLLATE "C" NOT NULL,
    number       bigint NOT NULL,                  -- Of a waybill's orders, the highest is the newest.
    shop_app_id  bytea NOT NULL,
    result_code  integer NOT NULL,
    result_msg   bytea NOT NULL,
    waybill_data bytea NOT NULL,
    received_at  timestamptz NOT NULL,
    cancelled_at timestamptz,
    PRIMARY KEY (delivery_id, biz_id, order_id)
);
CREATE INDEX orders_waybill ON orders (delivery_id, waybill_id, number);

-- Signed requests that came before, by a hash of the signature.
CREATE TABLE uses (
    hash   bytea PRIMARY KEY,
    digest bytea NOT NULL,                         -- Of the content.
    until  timestamptz NOT NULL                    -- From then on it may be forgotten.
);
CREATE INDEX uses_until ON uses (until);

-- What the customer is shown of a waybill, and when the waybill was expunged.
CREATE TABLE shown (
    delivery_id text COLLATE "C" NOT NULL,
    waybill_id  text COLLATE "C" NOT NULL,
    version     bigint,                            -- Null: nothing is known to be shown.
    received_at timestamptz,
    detail      json,
    expunged_at timestamptz,
    PRIMARY KEY (delivery_id, waybill_id),
    CHECK ((version IS NULL) = (received_at IS NULL) AND (version IS NULL) = (detail IS NULL))
);

-- What a few parts of the service must not lose and nobody may see; sealed where there are keys.
CREATE TABLE secrets (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- Waybills of which upstream was seen not to show what was delivered.
CREATE TABLE differences (
    delivery_id text COLLATE "C" NOT NULL,
    waybill_id  text COLLATE "C" NOT NULL,
    found_at    timestamptz NOT NULL,
    checked_at  timestamptz NOT NULL,
    detail      json NOT NULL,
    PRIMARY KEY (delivery_id, waybill_id)
);

-- Messages that can't be read. How many there are and what they take is kept in letter_totals, so that nobody has to
-- count; whoever adds or drops some holds its row.
CREATE TABLE dead_letters (
    number      bigint PRIMARY KEY,
    received_at timestamptz NOT NULL,
    source      text NOT NULL,
    subject     text NOT NULL,
    code        text NOT NULL,
    reason      text NOT NULL,
    body        bytea NOT NULL
);
CREATE INDEX dead_letters_received_at ON dead_letters (received_at);
CREATE TABLE letter_totals (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    last  bigint NOT NULL DEFAULT 0,               -- The highest number that was given.
    count bigint NOT NULL DEFAULT 0 CHECK (count >= 0),
    bytes bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0)
);
INSERT INTO letter_totals DEFAULT VALUES;
