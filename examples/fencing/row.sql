-- One row that nobody reads together with others. No row comes back: the token is stale, and nothing was written.
UPDATE invoices SET state = 'sent', fence = :token WHERE id = :id AND fence <= :token RETURNING id;
