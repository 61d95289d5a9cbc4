-- The causes of failures as stable codes beside the texts, so that no program parses a text. Rows of older releases have the text
-- alone; this migration derives their codes once, and gives 'unknown' to a text that names no known cause.

ALTER TABLE messages ADD COLUMN cause_code TEXT;      -- why -1, as a stable word; NULL = the message did not fail
ALTER TABLE messages ADD COLUMN whatsapp_code BIGINT; -- WhatsApp's own error code, if WhatsApp refused
UPDATE messages SET
    cause_code = CASE
        WHEN cause LIKE 'nack: %' THEN 'nack'
        WHEN cause LIKE 'refused: 403 %' OR cause LIKE 'refused: 404 %' OR cause LIKE 'refused: 406 %' OR cause LIKE 'refused: 410 %'
            THEN 'refused'
        WHEN cause LIKE 'refused: %' THEN 'unsendable'
        WHEN cause LIKE 'expired: %' THEN 'expired'
        WHEN cause LIKE 'logged_out: %' THEN 'logged_out'
        WHEN cause LIKE 'banned: %' THEN 'banned'
        WHEN cause = 'bot_removed' THEN 'bot_removed'
        WHEN cause IN ('link_ended', 'unlinked', 'codes_used_up', 'pairing_failed', 'linking', 'passkey_asked') THEN 'not_linked'
        ELSE 'unknown' END,
    -- The conditions keep a text that is no number away from the cast, which PostgreSQL would refuse.
    whatsapp_code = CASE
        WHEN cause LIKE 'nack: ___' AND TRIM(SUBSTR(cause, 7, 3), '0123456789') = '' THEN CAST(SUBSTR(cause, 7, 3) AS BIGINT)
        WHEN cause LIKE 'refused: 403 %' THEN 403
        WHEN cause LIKE 'refused: 404 %' THEN 404
        WHEN cause LIKE 'refused: 406 %' THEN 406
        WHEN cause LIKE 'refused: 410 %' THEN 410
        ELSE NULL END
WHERE ack < 0 AND cause IS NOT NULL;

ALTER TABLE attempts ADD COLUMN cause_code TEXT;        -- why it does not count as delivered, as a stable word; NULL = it does
UPDATE attempts SET cause_code = CASE
        WHEN cause LIKE 'status %' THEN 'status'
        WHEN cause LIKE 'refused: %' THEN 'refused'
        WHEN cause LIKE 'no complete answer %' THEN 'timed_out'
        WHEN cause = 'unreachable: status 410' THEN 'answer_gone'
        WHEN cause LIKE 'unreachable: %' THEN 'unreachable'
        WHEN cause LIKE 'no HTTP client: %' THEN 'no_client'
        WHEN cause = 'redirected to the answer' THEN 'redirected'
        ELSE 'unknown' END
WHERE cause IS NOT NULL;

ALTER TABLE deliveries ADD COLUMN last_error_code TEXT; -- the cause_code of the last failed attempt
ALTER TABLE deliveries ADD COLUMN last_status BIGINT;   -- the status of the last failed attempt, if the status is the cause
ALTER TABLE deliveries ADD COLUMN note_code TEXT;       -- what became of the answer, as a stable word
ALTER TABLE endpoints ADD COLUMN last_error_code TEXT;  -- as of a delivery
ALTER TABLE endpoints ADD COLUMN last_status BIGINT;
UPDATE deliveries SET
    last_error_code = CASE
        WHEN last_error LIKE 'status %' THEN 'status'
        WHEN last_error LIKE 'refused: %' THEN 'refused'
        WHEN last_error LIKE 'no complete answer %' THEN 'timed_out'
        WHEN last_error = 'unreachable: status 410' THEN 'answer_gone'
        WHEN last_error LIKE 'unreachable: %' THEN 'unreachable'
        WHEN last_error LIKE 'no HTTP client: %' THEN 'no_client'
        WHEN last_error = 'redirected to the answer' THEN 'redirected'
        WHEN last_error IS NULL THEN NULL
        ELSE 'unknown' END,
    last_status = CASE
        WHEN last_error LIKE 'status ___' AND TRIM(SUBSTR(last_error, 8, 3), '0123456789') = ''
            THEN CAST(SUBSTR(last_error, 8, 3) AS BIGINT)
        ELSE NULL END,
    note_code = CASE
        WHEN note LIKE 'sent % messages; left out: %' THEN 'sent_in_part'
        WHEN note LIKE 'sent %' THEN 'sent'
        WHEN note LIKE 'nothing sent: the answer is empty%' OR note LIKE 'nothing sent: the reply is empty%' THEN 'empty'
        WHEN note LIKE 'nothing sent: the answer is not JSON%' OR note LIKE 'nothing sent: the answer holds no reply%' THEN 'unreadable'
        WHEN note LIKE 'nothing sent: success is not true%' THEN 'unsuccessful'
        WHEN note LIKE 'nothing sent: posted again by hand%' THEN 'replied_before'
        WHEN note LIKE 'nothing sent: the bot is not linked%' THEN 'not_linked'
        WHEN note LIKE 'nothing sent: the bot was removed%' THEN 'bot_removed'
        WHEN note LIKE 'nothing sent: the database %' THEN 'not_stored'
        WHEN note LIKE 'nothing sent: %' THEN 'all_left_out'
        WHEN note LIKE 'its rule %' OR note LIKE 'the rule %' OR note LIKE 'its subscription %' OR note LIKE 'the subscription %'
            THEN 'cancelled'
        WHEN note IS NULL THEN NULL
        ELSE 'unknown' END
WHERE last_error IS NOT NULL OR note IS NOT NULL;
UPDATE endpoints SET
    last_error_code = CASE
        WHEN last_error LIKE 'status %' THEN 'status'
        WHEN last_error LIKE 'refused: %' THEN 'refused'
        WHEN last_error LIKE 'no complete answer %' THEN 'timed_out'
        WHEN last_error = 'unreachable: status 410' THEN 'answer_gone'
        WHEN last_error LIKE 'unreachable: %' THEN 'unreachable'
        WHEN last_error LIKE 'no HTTP client: %' THEN 'no_client'
        WHEN last_error = 'redirected to the answer' THEN 'redirected'
        ELSE 'unknown' END,
    last_status = CASE
        WHEN last_error LIKE 'status ___' AND TRIM(SUBSTR(last_error, 8, 3), '0123456789') = ''
            THEN CAST(SUBSTR(last_error, 8, 3) AS BIGINT)
        ELSE NULL END;
