-- KEYS: index of the subject. ARGV: prefix of session keys, now. Answers ids and values in turn, the oldest first.
local live, over = of_subject(KEYS[1], ARGV[1], tonumber(ARGV[2]))
for _, id in ipairs(over) do
    redis.call('SREM', KEYS[1], id)
end
local found = {}
for _, session in ipairs(live) do
    table.insert(found, session.id)
    table.insert(found, session.value)
end
return found
