-- One row for each election whose leaders write here; its token only rises.
CREATE TABLE fences (election text PRIMARY KEY, token bigint NOT NULL);

-- The first statement of each of a leader's transactions, also of those that only read: fails if a higher token
-- was seen, and else keeps all other terms waiting until this transaction has ended.
CREATE FUNCTION fence(of_election text, mine bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fences AS seen (election, token) VALUES (of_election, mine)
        ON CONFLICT (election) DO UPDATE SET token = mine WHERE seen.token <= mine;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'token % of % is stale', mine, of_election USING ERRCODE = 'STALE';
    END IF;
    -- A leader that is frozen within its transaction must not keep the next one waiting for long.
    PERFORM set_config('idle_in_transaction_session_timeout', '5s', true);
END $$;
