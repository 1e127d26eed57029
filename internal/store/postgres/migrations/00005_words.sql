-- +goose Up

-- Why a message can't be read, in Chinese too. Empty for those from before.
ALTER TABLE dead_letters ADD COLUMN reason_zh text NOT NULL DEFAULT '';
