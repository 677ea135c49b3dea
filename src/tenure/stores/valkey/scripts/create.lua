-- A new session. KEYS: session, index of the subject, feed, audit trails. ARGV: value, id, prefix of session keys, limit (-1: none),
-- whether the oldest give way (1) or the new one (0), reason and by whom for those that do, address, until when that
-- is kept.
-- Answers the ids of those that gave way, or nothing where the new one did.
local expires_at, ends_at, now = times(ARGV[1])
local limit = tonumber(ARGV[4])
local gave_way = {}
local live, over = {}, {}
if limit >= 0 then
    live, over = of_subject(KEYS[2], ARGV[3], now)
end
local too_many = limit < 0 and 0 or math.max(0, #live - limit + 1)
if too_many > 0 and ARGV[5] == '0' then
    return false
end
local kept = math.max(redis.call('PTTL', KEYS[2]), math.ceil((ends_at - now) / 1000) + DAY)
for number = 1, too_many do
    local old = live[number]
    revoke(ARGV[3] .. old.id, KEYS[3], KEYS[4], old.id, old.value, now, ARGV[6], ARGV[7], ARGV[8])
    table.insert(gave_way, old.id)
    table.insert(over, old.id)
end
for _, id in ipairs(over) do
    redis.call('SREM', KEYS[2], id)
end
keep(KEYS[1], ARGV[1], now, expires_at)
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[2], kept)
remember_latest(KEYS[1], ARGV[2], now)
note(KEYS[4], ARGV[2], ARGV[1], now, ARGV[7], ARGV[8], '')
return gave_way
