INSERT INTO ledger (step, owner) VALUES (:FIELDCONF_STEP, :owner);
SELECT step, owner FROM ledger;
