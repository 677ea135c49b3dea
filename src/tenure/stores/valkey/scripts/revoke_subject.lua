-- KEYS: index of the subject, feed, audit trails. ARGV: prefix of session keys, now, reason and by whom, the id that
-- stays (or ''), address, until when that is kept.
-- Answers the ids of those that this ended, the oldest first.
local now = tonumber(ARGV[2])
local live, over = of_subject(KEYS[1], ARGV[1], now)
local ended = {}
for _, session in ipairs(live) do
    if session.id ~= ARGV[4] then
        revoke(ARGV[1] .. session.id, KEYS[2], KEYS[3], session.id, session.value, now, ARGV[3], ARGV[5], ARGV[6])
        table.insert(ended, session.id)
        table.insert(over, session.id)
    end
end
for _, id in ipairs(over) do
    redis.call('SREM', KEYS[1], id)
end
return ended
