-- KEYS: feed. ARGV: the moment before which revocations are forgotten.
local before = tonumber(ARGV[1])
for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if tonumber(entry:sub(34)) < before then
        redis.call('ZREM', KEYS[1], entry)
    end
end
return 0
